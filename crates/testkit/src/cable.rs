//! A connection in memory that breaks where a test wants it to: cut or silent after a byte, or with a byte that is
//! damaged.
//!
//! What breaks is counted in bytes, so it breaks at the same place each time. A cut cable is cut in both directions, as
//! ssh's is: what is under way still arrives, then both ends read the end of the stream and cannot write.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Bytes that are under way at most, in each direction; as many as a pipe of Linux has.
const ROOM: usize = 64 << 10;

/// A direction of a cable, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// To the remote.
    Out,
    /// From the remote.
    Back,
}

/// A fault of a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The direction of the bytes.
    pub lane: Lane,
    /// The number of bytes that arrive before it.
    pub at: u64,
    /// The effect there.
    pub kind: FaultKind,
}

/// The effect of a fault on a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It is cut.
    Cut,
    /// These bits of the byte are inverted.
    Flip(u8),
    /// From here on nothing arrives any more in either direction, and nobody is told: a host that lost its power, or a
    /// router that forgot the connection.
    Stall,
}

/// A connection, for a test to look at and to cut.
#[derive(Clone)]
pub struct Cable(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    faults: Vec<Fault>,
    /// No read gives more bytes.
    read_at_most: usize,
}

#[derive(Default)]
struct State {
    lanes: [LaneState; 2],
    cut: bool,
    stalled: bool,
    /// The ends that have hung up, the client's first.
    hung_up: [bool; 2],
}

#[derive(Default)]
struct LaneState {
    under_way: VecDeque<u8>,
    /// All bytes that were ever written.
    written: u64,
    writer_gone: bool,
    reader_gone: bool,
}

/// One end of a cable.
pub struct End {
    /// The bytes from the other end.
    pub input: Receiver,
    /// The bytes to the other end.
    pub output: Sender,
}

impl End {
    /// Ends this end: from then on it neither reads nor writes. The other one is told, unless the cable has stalled.
    pub fn hanging_up(&self) -> impl FnOnce() + Send + 'static {
        let (cable, side) = (self.output.0.clone(), self.output.1 as usize);
        move || {
            cable.lock().hung_up[side] = true;
            cable.0.changed.notify_all();
        }
    }
}

/// Reads from a cable.
pub struct Receiver(Cable, Lane);

/// Writes to a cable. Dropped, the other end reads the end of the stream.
pub struct Sender(Cable, Lane);

impl Cable {
    /// A cable with these faults, with the client's end and the remote's.
    pub fn new(faults: &[Fault]) -> (Cable, End, End) {
        Cable::with_reads_of(usize::MAX, faults)
    }

    /// A cable of which no read gives more bytes than this, as a network may do.
    pub fn with_reads_of(read_at_most: usize, faults: &[Fault]) -> (Cable, End, End) {
        let cable = Cable(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            faults: faults.to_vec(),
            read_at_most: read_at_most.max(1),
        }));
        let end =
            |out, back| End { input: Receiver(cable.clone(), back), output: Sender(cable.clone(), out) };
        let (client, remote) = (end(Lane::Out, Lane::Back), end(Lane::Back, Lane::Out));
        (cable, client, remote)
    }

    /// Bytes that were written in a direction until now.
    pub fn written(&self, lane: Lane) -> u64 {
        self.lock().lanes[lane as usize].written
    }

    /// Cuts it now.
    pub fn cut(&self) {
        self.lock().cut = true;
        self.0.changed.notify_all();
    }

    /// Cuts it when nothing has crossed it for this long; returns when it is cut, or both ends are gone.
    pub fn cut_when_idle(&self, patience: Duration) {
        let mut state = self.lock();
        loop {
            let gone = state.lanes.iter().all(|lane| lane.writer_gone);
            if state.cut || gone {
                return;
            }
            let before = state.lanes.each_ref().map(|lane| (lane.written, lane.under_way.len()));
            let (after, timeout) =
                self.0.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = after;
            let now = state.lanes.each_ref().map(|lane| (lane.written, lane.under_way.len()));
            if timeout.timed_out() && before == now {
                state.cut = true;
                self.0.changed.notify_all();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: std::sync::MutexGuard<'a, State>) -> std::sync::MutexGuard<'a, State> {
        self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next fault of the lane, and its distance in bytes.
    fn fault(&self, lane: Lane, written: u64) -> Option<(u64, FaultKind)> {
        let faults = self.0.faults.iter().filter(|fault| fault.lane == lane && fault.at >= written);
        faults.min_by_key(|fault| fault.at).map(|fault| (fault.at - written, fault.kind))
    }
}

impl Read for Receiver {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Receiver(cable, lane) = self;
        let mut state = cable.lock();
        loop {
            // The lane is named after its writer.
            let [writer, reader] = [*lane as usize, 1 - *lane as usize].map(|side| state.hung_up[side]);
            let (cut, stalled) = (state.cut, state.stalled);
            if reader {
                return Ok(0);
            }
            if stalled && !cut && !into.is_empty() {
                state = cable.wait(state);
                continue;
            }
            let own = &mut state.lanes[*lane as usize];
            let take = into.len().min(own.under_way.len()).min(cable.0.read_at_most);
            if take > 0 || into.is_empty() {
                for (to, from) in into.iter_mut().zip(own.under_way.drain(..take)) {
                    *to = from;
                }
                cable.0.changed.notify_all();
                return Ok(take);
            }
            if cut || writer || own.writer_gone {
                return Ok(0);
            }
            state = cable.wait(state);
        }
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Sender(cable, lane) = self;
        let mut state = cable.lock();
        loop {
            let [writer, reader] = [*lane as usize, 1 - *lane as usize].map(|side| state.hung_up[side]);
            let (cut, stalled) = (state.cut, state.stalled);
            let own = &mut state.lanes[*lane as usize];
            if cut || writer || !stalled && (reader || own.reader_gone) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let room = ROOM - own.under_way.len();
            if room > 0 || bytes.is_empty() {
                let mut take = bytes.len().min(room);
                match cable.fault(*lane, own.written) {
                    Some((0, FaultKind::Cut)) => {
                        state.cut = true;
                        cable.0.changed.notify_all();
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    Some((0, FaultKind::Stall)) if !stalled => {
                        state.stalled = true;
                        cable.0.changed.notify_all();
                        continue;
                    }
                    Some((0, FaultKind::Flip(bits))) if take > 0 => {
                        own.under_way.push_back(bytes[0] ^ bits);
                        take = 1;
                    }
                    fault => {
                        let fault = fault.filter(|_| !stalled);
                        let distance = fault.map_or(u64::MAX, |(distance, _)| distance);
                        take = take.min(usize::try_from(distance).unwrap_or(usize::MAX));
                        own.under_way.extend(&bytes[..take]);
                    }
                }
                own.written += take as u64;
                cable.0.changed.notify_all();
                return Ok(take);
            }
            state = cable.wait(state);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.lock().lanes[self.1 as usize].reader_gone = true;
        self.0.0.changed.notify_all();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().lanes[self.1 as usize].writer_gone = true;
        self.0.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn sent(faults: &[Fault], bytes: &[u8]) -> (io::Result<()>, Vec<u8>, u64) {
        let (cable, mut client, mut remote) = Cable::new(faults);
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut got = Vec::new();
                remote.input.read_to_end(&mut got).unwrap();
                got
            });
            let result = client.output.write_all(bytes);
            drop(client);
            (result, reading.join().unwrap(), cable.written(Lane::Out))
        })
    }

    #[test]
    fn a_whole_cable_passes_everything() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n / 3) as u8).collect();
        let (result, got, written) = sent(&[], &bytes);
        assert!(result.is_ok() && got == bytes && written == 300_000);
    }

    #[test]
    fn a_cut_is_after_just_that_byte_and_in_both_directions() {
        for at in [0, 1, 70_000] {
            let fault = Fault { lane: Lane::Out, at, kind: FaultKind::Cut };
            let (result, got, written) = sent(&[fault], &[7; 100_000]);
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!((got.len() as u64, written), (at, at));
        }
        let (_, mut client, mut remote) =
            Cable::new(&[Fault { lane: Lane::Out, at: 2, kind: FaultKind::Cut }]);
        remote.output.write_all(b"back").unwrap();
        assert!(client.output.write_all(b"abc").is_err());
        assert!(remote.output.write_all(b"more").is_err());
        let mut got = String::new();
        client.input.read_to_string(&mut got).unwrap();
        assert_eq!(got, "back", "what was under way arrives");
    }

    #[test]
    fn a_flip_damages_one_byte() {
        let faults = [3, 5].map(|at| Fault { lane: Lane::Out, at, kind: FaultKind::Flip(1) });
        let (result, got, _) = sent(&faults, &[8; 10]);
        assert!(result.is_ok());
        assert_eq!(got, [8, 8, 8, 9, 8, 9, 8, 8, 8, 8]);
    }

    #[test]
    fn a_cable_that_stalls_gives_nothing_and_tells_nobody() {
        let (cable, mut client, remote) =
            Cable::new(&[Fault { lane: Lane::Out, at: 2, kind: FaultKind::Stall }]);
        let (hang_up, hang_up_there) = (client.hanging_up(), remote.hanging_up());
        let End { mut input, output } = remote;
        client.output.write_all(&[7; 1000]).unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(move || input.read(&mut [0; 10]));
            let writing = scope.spawn(move || client.output.write_all(&[7; ROOM]));
            thread::sleep(Duration::from_millis(20));
            assert!(!reading.is_finished() && !writing.is_finished());
            assert_eq!(cable.written(Lane::Out), ROOM as u64);
            hang_up();
            assert!(writing.join().unwrap().is_err());
            drop(output);
            thread::sleep(Duration::from_millis(20));
            assert!(!reading.is_finished(), "the other end is not told");
            hang_up_there();
            assert_eq!(reading.join().unwrap().unwrap(), 0);
        });
        assert_eq!(client.input.read(&mut [0; 10]).unwrap(), 0);
    }

    #[test]
    fn an_end_that_hangs_up_is_missed_where_the_cable_holds() {
        let (_, mut client, mut remote) = Cable::new(&[]);
        client.output.write_all(b"last").unwrap();
        client.hanging_up()();
        let mut got = String::new();
        remote.input.read_to_string(&mut got).unwrap();
        assert_eq!(got, "last");
        assert!(remote.output.write_all(b"x").is_err() && client.output.write_all(b"x").is_err());
    }

    #[test]
    fn an_idle_cable_is_cut_and_short_reads_are_short() {
        let (cable, client, mut remote) = Cable::with_reads_of(3, &[]);
        remote.output.write_all(b"four").unwrap();
        let mut client = client;
        assert_eq!(client.input.read(&mut [0; 10]).unwrap(), 3);
        let waiting =
            thread::spawn(move || client.input.read(&mut [0; 10]).and_then(|_| client.input.read(&mut [0])));
        cable.cut_when_idle(Duration::from_millis(20));
        assert_eq!(waiting.join().unwrap().unwrap(), 0);
    }
}
