//! A target, which is the client, and sources that want its memory.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dsync_proto::{
    Failure, FailureKind, Known, ListedConfig, ListedImage, ListedPlatform, Offer, Opened, Peer, Reply,
    Request, Stored, Want, encode,
};
use dsync_sync::testing::{Client, Wire, connect};
use dsync_sync::{Compression, Direction, Error, Identity, Options, Remote};
use dsync_testkit::{Cable, End, isolated};

use crate::evil::*;
use crate::many::Layout;
use crate::peak::{MEMORY, assert_bounded};

/// The part of an attack after the target has asked for its image.
type Attack = fn(&mut Evil) -> Done;

const LAYER: [u8; 32] = [9; 32];

pub(crate) fn options(local_store: String) -> Options {
    Options {
        local_store,
        memory: MEMORY,
        compression: Compression::Level(3),
        identity: Identity::Content,
        version: "test".to_owned(),
        ..Options::default()
    }
}

pub(crate) fn wire(End { input, output }: End) -> Wire {
    Wire::new(input, output)
}

fn image(layers: u32) -> ListedImage {
    let layer = |at: u32| {
        let mut id = LAYER;
        id[..4].copy_from_slice(&at.to_be_bytes());
        id
    };
    ListedImage {
        id: [7; 32],
        config: ListedConfig::Id,
        names: vec!["app:1".into()],
        digests: Vec::new(),
        diff_ids: (0..layers).map(layer).collect(),
        platform: ListedPlatform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
        size: 1,
        created: String::new(),
    }
}

fn opened(has_packages: bool) -> Reply {
    let (store, version) = ("docker".into(), "test".into());
    Reply::Opened(Opened { store, id_is_config: true, has_packages, keeps_referrers: false, version })
}

/// Answers until the image is asked for, and then attacks.
fn attack(evil: &mut Evil, list: &Reply, attack: Attack) -> Done {
    loop {
        match evil.request()? {
            Request::Open(_) => evil.reply(&opened(false))?,
            Request::List { .. } => evil.reply(list)?,
            Request::Send { .. } => {
                attack(evil)?;
                evil.reply(&Reply::Sent { raw: 0, packed: 0, metadata: 0, costs: Vec::new() })?;
            }
            _ => return Err(Gone),
        }
    }
}

/// The error of a run against such a source, with this in the target.
fn run(target: &Layout, list: Reply, dry_run: bool, how: Attack) -> Error {
    let (_, client, remote) = Cable::new(&[]);
    let serving = thread::spawn(move || {
        let mut evil = Evil::new(remote);
        if attack(&mut evil, &list, how).is_err() {
            evil.hear_out();
        }
    });
    let caches = tempfile::tempdir().unwrap();
    let client_end = Client {
        remote: Remote::Layout("oci:/elsewhere".into()),
        direction: Direction::Pull,
        options: options(target.spec()),
        caches: caches.path().to_owned(),
        agentless: false,
    };
    let ran = connect(client_end, wire(client), Arc::new(())).and_then(|mut session| {
        let report = session.report(&[])?;
        session.sync(&report.entries[0], &[], dry_run)
    });
    serving.join().unwrap();
    ran.unwrap_err()
}

fn list(layers: u32) -> Reply {
    Reply::Images { images: vec![image(layers)], unreadable: Vec::new(), names: Vec::new() }
}

/// True if the error says that the other end broke the protocol.
pub(crate) fn is_breach(error: &Error) -> bool {
    match error {
        Error::Endpoint { failure, .. } => failure.kind == FailureKind::Protocol,
        Error::Protocol { .. } => true,
        _ => false,
    }
}

/// The target must refuse it, in bounds.
fn refused(test: &str, list: impl FnOnce() -> Reply, how: Attack) {
    refused_in(test, list, false, how);
}

/// The same of a dry run, in which layers are told of and not made.
fn refused_in(test: &str, list: impl FnOnce() -> Reply, dry_run: bool, how: Attack) {
    isolated(test, Duration::from_secs(120), || {
        let error = run(&Layout::empty(), list(), dry_run, how);
        assert!(is_breach(&error), "{error:?}");
        assert_bounded(test, MEMORY);
    });
}

/// The header delta of the one layer, after the limit of its batches.
fn tell(evil: &mut Evil, pieces: impl IntoIterator<Item = Vec<u8>>) -> Done {
    let Peer::Want(Want::Layers { .. }) = evil.heard()? else { return Err(Gone) };
    evil.data(&(1_u32 << 20).to_le_bytes())?;
    evil.data(&told(pieces))?;
    evil.end_of_stream()
}

fn first_layer() -> [u8; 32] {
    image(1).diff_ids[0]
}

#[test]
fn a_body_of_pax_records_that_repeat_is_bounded_while_it_is_built() {
    refused(
        "target::a_body_of_pax_records_that_repeat_is_bounded_while_it_is_built",
        || list(1),
        |evil| {
            // One time of 900 kB; then each of 20,000 records takes it again.
            let (count, value) = (20_000_u64, [&b"0."[..], &vec![b'1'; 900_000]].concat());
            let line = dsync_pax(b"k", &value);
            let body = [&line[..], &b"6 k=x\n".repeat(count as usize - 1)].concat();
            let columns = [
                (MATCH, vec![0, 0]),
                (SHAPE, [number(1), number(2), number(0)].concat()),
                (MASK, vec![0, 0]),
                (MTIME, vec![0, 0]),
                (BODY, vec![1, 2]),
                (BODY_BYTES, [&number(0)[..], &body, &[0]].concat()),
                (PAX_CODE, vec![1; count as usize]),
                (SIZE, vec![0, 0]),
                (CONTENTS, vec![2, 0]),
                (TAIL, vec![0, 0]),
            ];
            tell(evil, [layer(&first_layer(), 1 << 40, 2), section(&columns)])
        },
    );
}

fn dsync_pax(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + rest.to_string().len();
    len = rest + len.to_string().len();
    [format!("{len} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

#[test]
fn as_many_literals_as_there_are_numbers_are_too_many() {
    refused("target::as_many_literals_as_there_are_numbers_are_too_many", || list(1), literals);
}

/// Eight million contents of one byte, in a million of each section.
fn literals(evil: &mut Evil) -> Done {
    const SECTIONS: u64 = 8;
    const EACH: u64 = 1 << 20;
    let first = [
        (MATCH, vec![0]),
        (SHAPE, [number(1), number(1)].concat()),
        (RAW, vec![0]),
        (CONTENTS, number(1 + 1 + SECTIONS * EACH)),
    ];
    let each =
        [(ORIGIN, vec![0; EACH as usize]), (LEN, vec![0; EACH as usize]), (LEN_LOW, vec![1; EACH as usize])];
    let sections = (0..SECTIONS).map(|_| section(&each));
    let begin = [layer(&first_layer(), SECTIONS * EACH, 1), section(&first)];
    tell(evil, begin.into_iter().chain(sections))
}

#[test]
fn records_without_end_are_too_many() {
    refused(
        "target::records_without_end_are_too_many",
        || list(1),
        |evil| {
            const SECTIONS: u64 = 16;
            const EACH: u64 = 1 << 20;
            let each = |first: bool| {
                section(&[
                    (MATCH, vec![0; EACH as usize]),
                    (
                        SHAPE,
                        if first {
                            [vec![1, 0], vec![0; EACH as usize - 1]].concat()
                        } else {
                            vec![0; EACH as usize]
                        },
                    ),
                    (ZEROS, vec![1; EACH as usize]),
                    (TAIL, vec![0; EACH as usize]),
                    (
                        CONTENTS,
                        if first {
                            [vec![2], vec![0; EACH as usize - 1]].concat()
                        } else {
                            vec![0; EACH as usize]
                        },
                    ),
                ])
            };
            let groups = SECTIONS * EACH;
            let sections = (0..SECTIONS).map(|at| each(at == 0));
            tell(evil, [layer(&first_layer(), groups * 512, groups)].into_iter().chain(sections))
        },
    );
}

#[test]
fn layers_that_are_each_within_bounds_are_too_much_together() {
    refused_in(
        "target::layers_that_are_each_within_bounds_are_too_much_together",
        || list(127),
        true,
        |evil| {
            // Each has a million contents, all of which it shares with the one before.
            const EACH: u64 = 1 << 20;
            let Peer::Want(Want::Layers { layers, .. }) = evil.heard()? else { return Err(Gone) };
            assert_eq!(layers.len(), 127);
            for (at, diff_id) in image(127).diff_ids.iter().enumerate() {
                let begin = vec![
                    (MATCH, vec![0]),
                    (SHAPE, [number(1), number(1)].concat()),
                    (RAW, vec![0]),
                    (CONTENTS, number(1 + 1 + EACH)),
                    (TAIL, vec![1]),
                ];
                let contents = match at {
                    0 => vec![
                        (ORIGIN, vec![0; EACH as usize]),
                        (LEN, vec![0; EACH as usize]),
                        (LEN_LOW, vec![1; EACH as usize]),
                    ],
                    _ => vec![(ORIGIN, number(2 * EACH).repeat(EACH as usize))],
                };
                evil.data(&(1_u32 << 20).to_le_bytes())?;
                let columns = [begin, contents].concat();
                evil.data(&told([layer(diff_id, EACH, 1), section(&columns)]))?;
            }
            Ok(())
        },
    );
}

#[test]
fn a_section_of_more_bytes_than_it_may_have_is_refused() {
    refused(
        "target::a_section_of_more_bytes_than_it_may_have_is_refused",
        || list(1),
        |evil| {
            let zeros = || (0..1024).map(|_| vec![0; 1 << 20]);
            let lens: Vec<u8> = (0..36).flat_map(|_| number(1 << 30)).collect();
            tell(evil, [layer(&first_layer(), 1, 1), lens].into_iter().chain(zeros()))
        },
    );
}

#[test]
fn a_part_that_unpacks_to_more_than_it_says_is_refused() {
    refused(
        "target::a_part_that_unpacks_to_more_than_it_says_is_refused",
        || list(1),
        |evil| {
            evil.heard()?;
            // A frame of 1 GiB in some 100 kB.
            let mut bomb = zstd::Encoder::new(vec![0], 3).unwrap();
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 1 << 30), &mut bomb).unwrap();
            let bomb = bomb.finish().unwrap();
            evil.data(&(1_u32 << 20).to_le_bytes())?;
            evil.data(&(1_u32 << 20).to_le_bytes())?;
            evil.data(&(bomb.len() as u32).to_le_bytes())?;
            evil.data(&bomb)
        },
    );
}

#[test]
fn packed_bytes_without_end_are_not_waited_for() {
    refused(
        "target::packed_bytes_without_end_are_not_waited_for",
        || list(1),
        |evil| {
            evil.heard()?;
            evil.data(&(1_u32 << 20).to_le_bytes())?;
            evil.data(&(1_u32 << 20).to_le_bytes())?;
            evil.data(&u32::MAX.to_le_bytes())?;
            loop {
                evil.data(&vec![0; 256 << 10])?;
            }
        },
    );
}

#[test]
fn a_limit_of_batches_that_no_source_has_is_refused() {
    refused(
        "target::a_limit_of_batches_that_no_source_has_is_refused",
        || list(1),
        |evil| {
            evil.heard()?;
            evil.data(&u32::MAX.to_le_bytes())?;
            evil.data(&told([Vec::new()]))?;
            evil.end_of_stream()
        },
    );
}

#[test]
fn a_batch_that_is_longer_than_coding_makes_it_is_refused() {
    refused(
        "target::a_batch_that_is_longer_than_coding_makes_it_is_refused",
        || list(1),
        |evil| {
            evil.heard()?;
            evil.data(&(1_u32 << 20).to_le_bytes())?;
            let columns = [
                (MATCH, vec![0]),
                (SHAPE, [number(1), number(1)].concat()),
                (RAW, vec![0]),
                (CONTENTS, number(3)),
                (ORIGIN, vec![0]),
                (LEN, vec![0]),
                (LEN_LOW, vec![100]),
                (TAIL, vec![1]),
            ];
            evil.data(&told([layer(&first_layer(), 100, 1), section(&columns)]))?;
            evil.data(&u32::MAX.to_le_bytes())?;
            loop {
                evil.data(&vec![0; 256 << 10])?;
            }
        },
    );
}

#[test]
fn a_content_that_is_longer_than_any_is_refused() {
    refused(
        "target::a_content_that_is_longer_than_any_is_refused",
        || list(1),
        |evil| {
            let columns = [
                (MATCH, vec![0]),
                (SHAPE, [number(1), number(1)].concat()),
                (RAW, vec![0]),
                (CONTENTS, number(3)),
                (ORIGIN, vec![0]),
                (LEN, number((1 << 44) >> 8)),
                (LEN_LOW, vec![0]),
                (TAIL, vec![1]),
            ];
            tell(evil, [layer(&first_layer(), 1 << 44, 1), section(&columns)])
        },
    );
}

#[test]
fn more_images_than_a_list_may_have_are_no_report() {
    isolated("target::more_images_than_a_list_may_have_are_no_report", Duration::from_secs(120), || {
        let error = run_raw(|| {
            let images = vec![image(1); 120_000];
            encode(&Reply::Images { images, unreadable: Vec::new(), names: Vec::new() }).unwrap()
        });
        let Error::Protocol { what, .. } = &error else { panic!("{error:?}") };
        assert!(what.contains("120000 images"), "{what}");
        assert_bounded("a list", MEMORY);
    });
}

#[test]
fn names_of_nothing_do_not_fill_memory() {
    isolated("target::names_of_nothing_do_not_fill_memory", Duration::from_secs(120), || {
        let error = run_raw(|| {
            let (images, unreadable, names) = (Vec::new(), Vec::new(), vec![String::new()]);
            grown(&encode(&Reply::Images { images, unreadable, names }).unwrap(), 15 << 20)
        });
        assert!(is_breach(&error), "{error:?}");
        assert_bounded("names", MEMORY);
    });
}

#[test]
fn causes_of_nothing_do_not_fill_memory() {
    isolated("target::causes_of_nothing_do_not_fill_memory", Duration::from_secs(120), || {
        let error = run_raw(|| {
            let failure = Failure { kind: FailureKind::Other, causes: vec![String::new()] };
            grown(&encode(&Reply::Failed(failure)).unwrap(), 15 << 20)
        });
        assert!(is_breach(&error), "{error:?}");
        assert_bounded("causes", MEMORY);
    });
}

/// A message that ends with a list of one empty text, with so many of them.
fn grown(message: &[u8], count: usize) -> Vec<u8> {
    let [begin @ .., 1, 0] = message else { panic!("it ends otherwise: {message:?}") };
    let mut grown = begin.to_vec();
    grown.extend(number(count as u64));
    grown.resize(grown.len() + count, 0);
    grown
}

/// The error of a run in which the list of images is this payload.
fn run_raw(payload: impl FnOnce() -> Vec<u8> + Send + 'static) -> Error {
    let (_, client, remote) = Cable::new(&[]);
    let serving = thread::spawn(move || {
        let mut evil = Evil::new(remote);
        let mut say = || {
            evil.request()?;
            evil.reply(&opened(false))?;
            evil.request()?;
            Ok::<_, Gone>(())
        };
        if say().is_ok() && evil.frame(dsync_proto::Channel::Control, &payload()).is_ok() {
            evil.hear_out();
        }
    });
    let (target, caches) = (Layout::empty(), tempfile::tempdir().unwrap());
    let client_end = Client {
        remote: Remote::Layout("oci:/elsewhere".into()),
        direction: Direction::Pull,
        options: options(target.spec()),
        caches: caches.path().to_owned(),
        agentless: false,
    };
    let ran =
        connect(client_end, wire(client), Arc::new(())).and_then(|mut session| session.report(&[]).map(drop));
    serving.join().unwrap();
    ran.unwrap_err()
}

#[test]
fn a_question_about_all_that_can_be_asked_is_answered_in_bounds() {
    isolated(
        "target::a_question_about_all_that_can_be_asked_is_answered_in_bounds",
        Duration::from_secs(120),
        || {
            let target = Layout::of_files(1000, 0);
            let error = run(&target, list(1), false, |evil| {
                let Peer::Want(Want::Layers { basis, .. }) = evil.heard()? else { return Err(Gone) };
                assert!(!basis.is_empty(), "there is something to build on");
                evil.heard()?;
                let offer = Offer { basis: vec![Known::No; basis.len()], stored: Vec::new() };
                evil.peer(&Peer::Offer(offer))?;
                let items = 1_u64 << 21;
                let mut question = [number(0), number(items), number(items)].concat();
                question.resize(question.len() + 7 * items as usize, 5);
                for _ in 0..3 {
                    evil.peer(&Peer::Question { question: question.clone() })?;
                }
                evil.end_of_stream()
            });
            assert!(matches!(error, Error::Endpoint { .. } | Error::Protocol { .. }), "{error:?}");
            assert_bounded("a question", MEMORY);
        },
    );
}

#[test]
fn an_offer_of_more_layers_than_there_are_is_refused() {
    isolated("target::an_offer_of_more_layers_than_there_are_is_refused", Duration::from_secs(120), || {
        let target = Layout::of_files(1000, 0);
        let error = run(&target, list(1), false, |evil| {
            evil.heard()?;
            let few = Offer { basis: Vec::new(), stored: vec![Stored::Plain] };
            let payload = encode(&Peer::Offer(few)).unwrap();
            let [begin @ .., 1, 0] = &payload[..] else { panic!("it ends otherwise: {payload:?}") };
            let count = 15 << 20;
            let mut grown = [begin, &number(count)].concat();
            grown.resize(grown.len() + count as usize, 0);
            evil.frame(dsync_proto::Channel::Peer, &grown)
        });
        assert!(is_breach(&error), "{error:?}");
        assert_bounded("an offer", MEMORY);
    });
}
