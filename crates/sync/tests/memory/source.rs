//! A source, which is the client, and targets that want its memory.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dsync_proto::limits::{LAYERS, PEER};
use dsync_proto::{
    Channel, LayerState, Opened, Peer, Received, Reply, Request, Status, Survey, Want, encode,
};
use dsync_sync::testing::{Client, connect};
use dsync_sync::{Direction, Error, Remote};
use dsync_testkit::{Cable, isolated};

use crate::evil::*;
use crate::many::Layout;
use crate::peak::{MEMORY, assert_bounded};
use crate::target::{is_breach, options, wire};

/// Answers until it is to take an image, and then attacks.
fn attack(evil: &mut Evil, how: fn(&mut Evil) -> Done) -> Done {
    loop {
        match evil.request()? {
            Request::Open(_) => {
                let (store, version) = ("docker".into(), "test".into());
                let opened = Opened {
                    store,
                    id_is_config: true,
                    has_packages: false,
                    keeps_referrers: false,
                    version,
                };
                evil.reply(&Reply::Opened(opened))?;
            }
            Request::Survey { images, .. } => {
                let survey = Survey {
                    status: vec![Status::New],
                    layers: vec![LayerState::Missing],
                    basis: Vec::new(),
                    open: false,
                    holders: vec![None],
                    foreign_to: String::new(),
                };
                evil.reply(&Reply::Surveyed(vec![survey; images.len()]))?;
            }
            Request::Receive(_) => {
                how(evil)?;
                let (id, layers) = ([0; 32], Vec::new());
                evil.reply(&Reply::Received(Received { id, layers, was_there: false, packed_again: 0 }))?;
            }
            _ => return Err(Gone),
        }
    }
}

/// The source must refuse it, in bounds.
fn refused(test: &str, how: fn(&mut Evil) -> Done) {
    isolated(test, Duration::from_secs(120), || {
        let (_, client, remote) = Cable::new(&[]);
        let serving = thread::spawn(move || {
            let mut evil = Evil::new(remote);
            if attack(&mut evil, how).is_err() {
                evil.hear_out();
            }
        });
        let (source, caches) = (Layout::of_files(10_000, 0), tempfile::tempdir().unwrap());
        let client_end = Client {
            remote: Remote::Layout("oci:/elsewhere".into()),
            direction: Direction::Push,
            options: options(source.spec()),
            caches: caches.path().to_owned(),
            agentless: false,
        };
        let ran = connect(client_end, wire(client), Arc::new(())).and_then(|mut session| {
            let report = session.report(&[])?;
            session.sync(&report.entries[0], &[], false)
        });
        serving.join().unwrap();
        let error: Error = ran.unwrap_err();
        assert!(is_breach(&error), "{error:?}");
        assert_bounded(test, MEMORY);
    });
}

fn want(evil: &mut Evil, layers: Vec<u32>, basis: usize) -> Done {
    let want = Want::Layers {
        layers,
        without_basis: false,
        basis: vec![[1; 5]; basis],
        partial: 0,
        described: Vec::new(),
    };
    evil.peer(&Peer::Want(want))
}

#[test]
fn a_layer_that_is_asked_for_again_and_again_is_refused() {
    refused("source::a_layer_that_is_asked_for_again_and_again_is_refused", |evil| {
        want(evil, vec![0; LAYERS], 0)
    });
}

#[test]
fn more_layers_than_an_image_has_are_refused() {
    refused("source::more_layers_than_an_image_has_are_refused", |evil| {
        let few = Want::Layers {
            layers: vec![0],
            without_basis: false,
            basis: Vec::new(),
            partial: 0,
            described: Vec::new(),
        };
        let payload = encode(&Peer::Want(few)).unwrap();
        let [begin @ .., 1, 0, 0, 0, 0, 0] = &payload[..] else { panic!("it ends otherwise: {payload:?}") };
        let count = PEER - 100;
        let mut grown = [begin, &number(count as u64)].concat();
        grown.resize(grown.len() + count + 4, 0);
        evil.frame(Channel::Peer, &grown)
    });
}

#[test]
fn a_basis_without_end_is_refused() {
    refused("source::a_basis_without_end_is_refused", |evil| want(evil, vec![0], 3_000_000));
}

#[test]
fn an_answer_to_another_question_is_refused() {
    refused("source::an_answer_to_another_question_is_refused", |evil| {
        want(evil, vec![0], 1)?;
        evil.peer(&Peer::Proofs(vec![[0; 3]]))?;
        loop {
            match evil.heard()? {
                Peer::Question { .. } => evil.peer(&Peer::Answer { answer: vec![0; PEER - 100] })?,
                Peer::Abort => return Ok(()),
                _ => {}
            }
        }
    });
}

#[test]
fn a_survey_of_nothing_does_not_fill_memory() {
    isolated("source::a_survey_of_nothing_does_not_fill_memory", Duration::from_secs(120), || {
        let (_, client, remote) = Cable::new(&[]);
        let serving = thread::spawn(move || {
            let mut evil = Evil::new(remote);
            let mut say = || {
                evil.request()?;
                let (store, version) = ("docker".into(), "test".into());
                let opened = Opened {
                    store,
                    id_is_config: true,
                    has_packages: false,
                    keeps_referrers: false,
                    version,
                };
                evil.reply(&Reply::Opened(opened))?;
                evil.request()?;
                // The third kind of reply, and each survey of six zeros.
                let count = 2 << 20;
                let mut payload = [&[2][..], &number(count)].concat();
                payload.resize(payload.len() + 5 * count as usize, 0);
                evil.frame(Channel::Control, &payload)
            };
            if say().is_ok() {
                evil.hear_out();
            }
        });
        let (source, caches) = (Layout::of_files(100, 0), tempfile::tempdir().unwrap());
        let client_end = Client {
            remote: Remote::Layout("oci:/elsewhere".into()),
            direction: Direction::Push,
            options: options(source.spec()),
            caches: caches.path().to_owned(),
            agentless: false,
        };
        let ran = connect(client_end, wire(client), Arc::new(()))
            .and_then(|mut session| session.report(&[]).map(drop));
        serving.join().unwrap();
        let error = ran.unwrap_err();
        assert!(is_breach(&error), "{error:?}");
        assert_bounded("a survey", MEMORY);
    });
}
