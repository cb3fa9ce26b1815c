//! The proxy between ssh and sshd: joins standard input and output to a TCP connection, counts what
//! passes, and if asked makes the link slow or cuts it. Standard library only; loopback addresses only.
//!
//! Loss and TCP's slow start are not imitated: a slow link has a rate, a delay, and room for one
//! bandwidth-delay product and 64 KiB under way.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{collections::VecDeque, process, thread};

use crate::gate;

/// The properties of a proxied connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// The log that the two lines of the connection go to.
    pub log: Option<PathBuf>,
    /// The label of the connection in the log.
    pub label: String,
    /// Megabits a second, each way; 0 is as fast as it goes.
    pub rate_mbit: f64,
    /// The round trip in milliseconds; half of it each way, and one more for the connect.
    pub rtt_ms: f64,
    /// End the connection once so many bytes came from ssh.
    pub cut_up: Option<u64>,
    /// End the connection once so many bytes came from sshd.
    pub cut_down: Option<u64>,
    /// Wait at a gate once so many bytes came from ssh.
    pub hold_up: Option<u64>,
    /// Wait at it once so many bytes came from sshd.
    pub hold_down: Option<u64>,
    /// The gate's directory.
    pub gate: Option<PathBuf>,
}

/// The end of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Up,
    Down,
    Cut,
}

/// One direction: where to cut it, how slow it is, and what has passed.
struct Direction {
    end: End,
    cut: Option<u64>,
    /// The place of a gate, and its directory.
    hold: Option<(u64, PathBuf)>,
    bytes_per_second: f64,
    delay: Duration,
    count: Arc<AtomicU64>,
}

/// Carries this process's standard input and output to the address, until either side ends.
pub fn carry(options: &Options, host: &str, port: u16) -> io::Result<()> {
    let address = loopback(host, port)?;
    let id = format!("{}-{}", process::id(), since_epoch().as_nanos());
    let started = Instant::now();
    write_line(options, &format!(r#"{{"event":"open","id":"{id}","label":{}}}"#, quoted(&options.label)))?;

    let (up, down) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let result = join(options, address, &up, &down);
    let line = format!(
        r#"{{"event":"close","id":"{id}","label":{},"port":{port},"seconds":{:.3},"up":{},"down":{}}}"#,
        quoted(&options.label),
        started.elapsed().as_secs_f64(),
        up.load(Ordering::SeqCst),
        down.load(Ordering::SeqCst),
    );
    write_line(options, &line)?;
    result
}

fn join(
    options: &Options,
    address: SocketAddr,
    up: &Arc<AtomicU64>,
    down: &Arc<AtomicU64>,
) -> io::Result<()> {
    let rtt = Duration::from_secs_f64(options.rtt_ms / 1000.0);
    thread::sleep(rtt);
    let remote = TcpStream::connect(address)?;
    remote.set_nodelay(true)?;
    // The handles of std buffer; these do not.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);

    let (ended, ends) = mpsc::channel();
    let gate = |at: Option<u64>| at.zip(options.gate.clone());
    let direction = |end, cut, hold, count: &Arc<AtomicU64>| Direction {
        end,
        cut,
        hold: gate(hold),
        bytes_per_second: options.rate_mbit * 125_000.0,
        delay: rtt / 2,
        count: Arc::clone(count),
    };
    let upward = direction(End::Up, options.cut_up, options.hold_up, up);
    let downward = direction(End::Down, options.cut_down, options.hold_down, down);
    start(upward, stdin, remote.try_clone()?, ended.clone());
    start(downward, remote.try_clone()?, stdout, ended);

    match ends.recv() {
        // ssh is done. The server notices, and may still say goodbye; if it hangs, it is cut off.
        Ok(End::Up) => {
            let _ = remote.shutdown(Shutdown::Write);
            let _ = ends.recv_timeout(Duration::from_secs(3));
        }
        Ok(End::Down | End::Cut) | Err(_) => {}
    }
    let _ = remote.shutdown(Shutdown::Both);
    Ok(())
}

/// Copies a direction in a thread of its own and tells how it ended.
fn start(
    mut direction: Direction,
    from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    ended: mpsc::Sender<End>,
) {
    thread::spawn(move || {
        let slow = direction.bytes_per_second > 0.0 || !direction.delay.is_zero();
        let result =
            if slow { copy_slowly(&mut direction, from, to) } else { copy(&mut direction, from, to) };
        // An error means that one of the two is gone, which is an end like any other.
        let _ = ended.send(result.unwrap_or(direction.end));
    });
}

fn copy(direction: &mut Direction, mut from: impl Read, mut to: impl Write) -> io::Result<End> {
    let mut buffer = vec![0; 1 << 18];
    while let Some(length) = direction.read(&mut from, &mut buffer)? {
        to.write_all(&buffer[..length])?;
        if direction.is_cut() {
            return Ok(End::Cut);
        }
    }
    Ok(direction.end)
}

/// The bytes under way on a slow link, in the order of arrival.
#[derive(Default)]
struct UnderWay {
    queue: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    closed: bool,
}

fn copy_slowly(
    direction: &mut Direction,
    mut from: impl Read,
    to: impl Write + Send + 'static,
) -> io::Result<End> {
    let link = Arc::new((Mutex::new(UnderWay::default()), Condvar::new()));
    let far_end = thread::spawn({
        let link = Arc::clone(&link);
        move || {
            let result = deliver(&link, to);
            close(&link);
            result
        }
    });
    let rate = if direction.bytes_per_second > 0.0 { direction.bytes_per_second } else { 125e6 };
    let room = 65_536 + (rate * 2.0 * direction.delay.as_secs_f64()) as usize;
    let mut free_at = Instant::now();
    let mut buffer = vec![0; 1 << 14];
    let mut end = direction.end;
    // A side that breaks off has ended, and what it sent before that still arrives.
    while let Ok(Some(length)) = direction.read(&mut from, &mut buffer) {
        free_at = free_at.max(Instant::now());
        if direction.bytes_per_second > 0.0 {
            free_at += Duration::from_secs_f64(length as f64 / direction.bytes_per_second);
        }
        let mut under_way = link.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.queue.push_back((free_at + direction.delay, buffer[..length].to_vec()));
        under_way.bytes += length;
        link.1.notify_all();
        while under_way.bytes > room && !under_way.closed {
            under_way = link.1.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        if under_way.closed {
            break;
        }
        if direction.is_cut() {
            end = End::Cut;
            break;
        }
    }
    close(&link);
    // The bytes under way still arrive.
    far_end.join().unwrap_or(Ok(()))?;
    Ok(end)
}

fn deliver(link: &(Mutex<UnderWay>, Condvar), mut to: impl Write) -> io::Result<()> {
    loop {
        let mut under_way = link.0.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.queue.is_empty() && !under_way.closed {
            under_way = link.1.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        let Some((due, bytes)) = under_way.queue.pop_front() else { return Ok(()) };
        drop(under_way);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        to.write_all(&bytes)?;
        link.0.lock().unwrap_or_else(PoisonError::into_inner).bytes -= bytes.len();
        link.1.notify_all();
    }
}

fn close(link: &(Mutex<UnderWay>, Condvar)) {
    link.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    link.1.notify_all();
}

impl Direction {
    /// Reads and counts, never past the place of the cut or of a gate; `None` at the end.
    fn read(&mut self, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let count = self.count.load(Ordering::SeqCst);
        // All before has passed.
        if let Some((_, dir)) = self.hold.take_if(|(at, _)| *at <= count) {
            gate::wait(&dir)?;
        }
        let next = [self.cut, self.hold.as_ref().map(|(at, _)| *at)].into_iter().flatten().min();
        let left = next.map_or(u64::MAX, |at| at.saturating_sub(count));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        loop {
            match from.read(&mut buffer[..most]) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    self.count.fetch_add(length as u64, Ordering::SeqCst);
                    return Ok(Some(length));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn is_cut(&self) -> bool {
        self.cut.is_some_and(|cut| self.count.load(Ordering::SeqCst) >= cut)
    }
}

fn loopback(host: &str, port: u16) -> io::Result<SocketAddr> {
    let refused = || io::Error::new(ErrorKind::InvalidInput, format!("{host} is not a loopback address"));
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(refused)?;
    if address.ip().is_loopback() { Ok(address) } else { Err(refused()) }
}

/// One line in one write, so that lines of several connections do not mix.
fn write_line(options: &Options, line: &str) -> io::Result<()> {
    let Some(log) = &options.log else { return Ok(()) };
    OpenOptions::new().append(true).create(true).open(log)?.write_all(format!("{line}\n").as_bytes())
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(cut: Option<u64>, bytes_per_second: f64, delay: Duration) -> Direction {
        Direction { end: End::Up, cut, hold: None, bytes_per_second, delay, count: Arc::default() }
    }

    /// A writer whose bytes can be looked at afterwards.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_cut_lets_exactly_so_many_bytes_pass() {
        for speed in [0.0, 1e9] {
            let (sink, mut direction) = (Sink::default(), direction(Some(1000), speed, Duration::ZERO));
            let input = io::Cursor::new(vec![7; 5000]);
            let end = if speed > 0.0 {
                copy_slowly(&mut direction, input, sink.clone())
            } else {
                copy(&mut direction, input, sink.clone())
            };
            assert_eq!(end.unwrap(), End::Cut);
            assert_eq!(sink.0.lock().unwrap().len(), 1000);
            assert_eq!(direction.count.load(Ordering::SeqCst), 1000);
        }
    }

    #[test]
    fn a_slow_link_takes_its_time_and_loses_nothing() {
        let input: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
        let mut direction = direction(None, 1e6, Duration::from_millis(30));
        let (sink, begin) = (Sink::default(), Instant::now());
        assert_eq!(
            copy_slowly(&mut direction, io::Cursor::new(input.clone()), sink.clone()).unwrap(),
            End::Up
        );
        assert!(begin.elapsed() >= Duration::from_millis(229), "{:?}", begin.elapsed());
        assert_eq!(*sink.0.lock().unwrap(), input);
    }

    #[test]
    fn only_loopback_is_carried() {
        assert!(loopback("127.0.0.1", 1).is_ok());
        assert!(loopback("192.0.2.1", 1).is_err());
    }

    #[test]
    fn a_gate_holds_all_that_comes_behind_its_place() {
        let place = tempfile::tempdir().unwrap();
        let gate = gate::Gate::new(&place.path().join("gate")).unwrap();
        let (sink, hold) = (Sink::default(), Some((1000, gate.dir().to_owned())));
        let mut held = Direction { hold, ..direction(None, 0.0, Duration::ZERO) };
        let copying = thread::spawn({
            let sink = sink.clone();
            move || copy(&mut held, io::Cursor::new(vec![7; 5000]), sink)
        });
        while !gate.is_reached() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(sink.0.lock().unwrap().len(), 1000);
        gate.open().unwrap();
        assert_eq!(copying.join().unwrap().unwrap(), End::Up);
        assert_eq!(sink.0.lock().unwrap().len(), 5000);
    }

    #[test]
    fn labels_are_quoted() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\u000a""#);
        assert_eq!(serde_json::from_str::<String>(&quoted("é\u{7}\"")).unwrap(), "é\u{7}\"");
    }
}
