//! Whole sessions in which one side is hostile: it says what the input has, whatever it is told.

use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::thread;

use dsync_core::ImageRef;
use dsync_proto::{Channel, ListedConfig, Open, Receive, Request, decode, encode};
use dsync_sync::testing::{Client, Wire, connect, serve};
use dsync_sync::{Compression, Direction, Options, Remote};
use dsync_testkit::{Built, Cable, End, ImageSpec, Item, LayerSpec, Snapshot, Wanted, What};

use super::hosts::{Host, MEMORY, SCENARIOS, VERSION, files};
use super::{recorded, script};
use crate::{Memory, Target};

/// An agent that has an image, asked by a hostile client and target: its store stays as it is, and it says nothing of
/// images that nobody named.
pub(in crate::targets) const SOURCE: Target =
    Target { name: "source", run: source, memory: MOST, seeds: recorded::targets };

/// An agent that takes images of a hostile client and source: it has what was asked for, or is as it was.
pub(in crate::targets) const TARGET: Target =
    Target { name: "target", run: target, memory: MOST, seeds: recorded::sources };

/// A client that takes an image of a hostile agent: it has what the report said, or is as it was.
pub(in crate::targets) const CLIENT: Target =
    Target { name: "client", run: client, memory: MOST, seeds: recorded::agents };

/// `--memory` is a bound on coding and listings; documents and buffers come on top of that.
const MOST: Memory = Memory { least: 160 << 20, factor: 1 << 10 };

/// Bytes of an image that nobody names.
const SECRET: u32 = 0x5ec2;

fn secret() -> (Built, Vec<u8>) {
    let noise = LayerSpec::noise(SECRET, 2000);
    let bytes = noise.tar();
    (Item::named("registry.example/secret:1", ImageSpec::of(vec![noise])).build(), bytes)
}

fn scenario(input: &[u8]) -> (&'static super::hosts::Scenario, &[u8]) {
    let (first, script) = input.split_first().unwrap_or((&0, &[]));
    (&SCENARIOS[usize::from(*first) % SCENARIOS.len()], script)
}

fn source(input: &[u8]) {
    let (scenario, script) = scenario(input);
    let (hidden, marker) = secret();
    let named = script.windows(32).any(|window| hex(window) == hidden.root.digest[7..]);
    let Some(host) = Host::with(&[scenario.new.clone(), hidden]) else { return };
    let before = files(&host.path("store"));
    let said = talk(&host, script);
    assert!(files(&host.path("store")) == before, "the source has changed");
    host.check_tidy();
    let told =
        marker.windows(200).step_by(200).any(|part| said.windows(part.len()).any(|window| window == part));
    assert!(named || !told, "an image that nobody named was told of");
}

fn target(input: &[u8]) {
    let (scenario, script) = scenario(input);
    let Some(host) = Host::with(&scenario.old) else { return };
    let before = host.snapshot();
    talk(&host, script);
    let requests =
        script::messages(script, Channel::Control).filter_map(|message| decode::<Request>(message).ok());
    let asked: Vec<Wanted> = requests.flat_map(wanted).collect();
    check(&before, &host.snapshot(), &asked);
    host.check_tidy_but_for_parts();
}

/// The changes that a request may make.
fn wanted(request: Request) -> Vec<Wanted> {
    let Request::Receive(Receive { image, names, exact, dry_run: false, .. }) = request else {
        return Vec::new();
    };
    let digest = |bytes: &[u8; 32]| format!("sha256:{}", hex(bytes));
    let config = match image.config {
        ListedConfig::Unknown => return Vec::new(),
        ListedConfig::Id => digest(&image.id),
        ListedConfig::Digest(config) => digest(&config),
    };
    let what = match exact {
        true => What::Root(digest(&image.id), Default::default()),
        false => What::Content(config, image.diff_ids.iter().map(digest).collect(), None),
    };
    let names = names.iter().filter_map(|name| name.parse::<ImageRef>().ok());
    let named = names.map(|name| Wanted::new(Some(name.to_string()), what.clone()));
    named.chain([Wanted::new(None, what.clone())]).collect()
}

/// All that arrived was asked for, and everything else is as it was.
fn check(before: &Snapshot, after: &Snapshot, asked: &[Wanted]) {
    let arrived: Vec<Wanted> = asked
        .iter()
        .filter(|wanted| match &wanted.name {
            Some(name) => after.is_named(name, &wanted.what),
            None => after.holds(&wanted.what),
        })
        .cloned()
        .collect();
    let checked = match arrived.is_empty() {
        true => before.check_unchanged(after),
        false => before.check_holds(after, &arrived),
    };
    checked.unwrap_or_else(|difference| panic!("{difference}"));
}

/// Says a script to an agent that has opened its store. Returns what it said.
fn talk(host: &Host, script: &[u8]) -> Vec<u8> {
    let open = Request::Open(Open {
        store: host.store(),
        tmpfolder: host.path("tmp").display().to_string(),
        platform: String::new(),
        memory: MEMORY,
        timeout: 0,
        engine_timeout: 0,
        password: None,
    });
    let mut bytes = frame(&encode(&open).expect("a request can be said"));
    bytes.extend(script::wire(script));
    let (_, client, agent) = Cable::new(&[]);
    thread::scope(|scope| {
        scope.spawn(|| serve(wire(agent), VERSION, &host.path("caches")));
        let End { mut input, mut output } = client;
        scope.spawn(move || output.write_all(&bytes));
        let mut said = Vec::new();
        input.read_to_end(&mut said).expect("a cable in memory does not fail");
        said
    })
}

fn client(input: &[u8]) {
    let (scenario, script) = scenario(input);
    let Some(host) = Host::with(&scenario.old) else { return };
    let before = host.snapshot();
    let bytes = script::wire(script);
    let (_, here, there) = Cable::new(&[]);
    let End { mut input, mut output } = there;
    let (mut asked, mut untold) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        scope.spawn(move || output.write_all(&bytes));
        scope.spawn(move || io::copy(&mut input, &mut io::sink()));
        let client = Client {
            remote: Remote::Layout("oci:elsewhere".into()),
            direction: Direction::Pull,
            options: options(&host),
            caches: host.path("caches"),
            agentless: false,
        };
        let Ok(mut session) = connect(client, wire(here), Arc::new(())) else { return };
        let Ok(report) = session.report(&[]) else { return };
        for entry in report.entries.iter().take(4) {
            let name = entry.name.as_ref().map(ToString::to_string);
            // Between stores of manifests an image is its ID, unless the agent says that its store has none of these.
            let id = What::Root(entry.image.id.to_string(), Default::default());
            asked.push(Wanted::new(name.clone(), id));
            match entry.image.config {
                Some(config) => {
                    let layers = entry.image.diff_ids.iter().map(ToString::to_string).collect();
                    asked.push(Wanted::new(name, What::Content(config.to_string(), layers, None)));
                }
                None => untold.push(name),
            }
            if session.sync(entry, &[], false).is_err() {
                return;
            }
        }
    });
    // Of an image whose config was not listed it is not known here what it has to be.
    let after = host.snapshot();
    let roots = || after.roots().iter().map(|root| What::Root(root.clone(), Default::default()));
    asked.extend(untold.iter().flat_map(|name| roots().map(|what| Wanted::new(name.clone(), what))));
    check(&before, &after, &asked);
    host.check_tidy_but_for_parts();
}

pub(super) fn options(host: &Host) -> Options {
    Options {
        local_store: host.store(),
        tmpfolder: Some(host.path("tmp")),
        memory: MEMORY,
        compression: Compression::Level(3),
        version: VERSION.to_owned(),
        ..Options::default()
    }
}

pub(super) fn wire(end: End) -> Wire {
    Wire::new(end.input, end.output)
}

fn frame(message: &[u8]) -> Vec<u8> {
    let header = dsync_proto::Header { channel: Channel::Control, len: message.len() };
    [&header.encode().expect("it is short")[..], message].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script that no end goes along with would test little.
    #[test]
    fn what_was_said_in_a_real_session_leads_to_the_image_again() {
        let seeds = recorded::sources();
        assert!(seeds.len() > 20, "{}", seeds.len());
        for seed in seeds {
            let (scenario, script) = scenario(&seed);
            let host = Host::with(&scenario.old).unwrap();
            talk(&host, script);
            let content =
                scenario.new.images.iter().any(|image| host.snapshot().holds(&What::content(image)));
            assert!(content || host.snapshot().holds(&What::root(&scenario.new)), "{}", seed[0]);
        }
    }

    #[test]
    fn a_source_tells_a_target_that_only_says_what_was_said_once() {
        let mut told = 0;
        for seed in recorded::targets() {
            let (scenario, script) = scenario(&seed);
            let host = Host::with(std::slice::from_ref(&scenario.new)).unwrap();
            let (frames, _) = dsync_sync::fuzzing::frames(&talk(&host, script)[..]);
            told += frames.iter().filter(|(channel, payload)| *channel == 3 && !payload.is_empty()).count();
        }
        assert!(told > 40, "{told} data frames");
    }
}
