//! Real sessions, and what each side said in them.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dsync_sync::testing::{Client, Wire, connect, serve};
use dsync_sync::{Direction, Identity, Remote};
use dsync_testkit::Cable;

use super::hosts::{Host, SCENARIOS, Scenario, VERSION};
use super::script::script;
use super::session::{options, wire};
use crate::pieces::joined;

/// The exact bytes that came to an end.
type Heard = Arc<Mutex<Vec<u8>>>;

/// Passes on what is read, and keeps it.
struct Tee<R>(R, Heard);

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// Syncs the new image of a scenario: what the agent heard, and what the client heard.
fn record(scenario: &Scenario, direction: Direction, identity: Identity) -> Option<[Vec<u8>; 2]> {
    let hosts = [Host::with(std::slice::from_ref(&scenario.new))?, Host::with(&scenario.old)?];
    let (here, there) = match direction {
        Direction::Pull => (&hosts[1], &hosts[0]),
        Direction::Push => (&hosts[0], &hosts[1]),
    };
    let (_, client, agent) = Cable::new(&[]);
    let heard: [Heard; 2] = Default::default();
    let tee =
        |wire: Wire, at: usize| Wire { input: Box::new(Tee(wire.input, Arc::clone(&heard[at]))), ..wire };
    let agent = tee(wire(agent), 0);
    let client = tee(wire(client), 1);
    let done = thread::scope(|scope| {
        scope.spawn(|| serve(agent, VERSION, &there.path("caches")));
        let mut options = options(here);
        options.identity = identity;
        let remote = Remote::Layout(there.store());
        let agentless = false;
        let client_end = Client { remote, direction, options, caches: here.path("caches"), agentless };
        let mut session = connect(client_end, client, Arc::new(())).ok()?;
        let report = session.report(&[]).ok()?;
        report.entries.iter().try_for_each(|entry| session.sync(entry, &[], false).ok().map(drop))
    });
    done?;
    Some(heard.map(|heard| std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner))))
}

/// The scripts of an end in all scenarios.
fn all(direction: Direction, end: usize, without_open: bool) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        for identity in [Identity::Exact, Identity::Content] {
            let Some(heard) = record(scenario, direction, identity) else { continue };
            let mut script = script(&heard[end]);
            if without_open {
                // The harness opens the store, whose path differs.
                script.remove(0);
            }
            let parts: Vec<&[u8]> = script.iter().map(Vec::as_slice).collect();
            seeds.push([&[number as u8][..], &joined(&parts)].concat());
        }
    }
    seeds
}

/// Scripts of clients and targets, said to an agent that is the source.
pub(super) fn targets() -> Vec<Vec<u8>> {
    all(Direction::Pull, 0, true)
}

/// Scripts of clients and sources, said to an agent that is the target.
pub(super) fn sources() -> Vec<Vec<u8>> {
    all(Direction::Push, 0, true)
}

/// Scripts of agents that are the source.
pub(super) fn agents() -> Vec<Vec<u8>> {
    all(Direction::Pull, 1, false)
}
