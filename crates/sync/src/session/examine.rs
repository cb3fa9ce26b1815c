//! `docker-sync doctor`: looks at this host, at the remote and at the link between them, as a sync would use them, and
//! moves no image.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dsync_proto::{Examined, Reply, Request, limits};

use super::end::End;
use super::route::Dial;
use super::sudo::Asking;
use super::{connect, open, words};
use crate::endpoint::{self, Site, examine::random};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::link::Link;
use crate::options::Options;
use crate::passwords;
use crate::transport::connection::{Local, Served};
use crate::transport::destination::{self, Remote};

/// The findings about this host, a remote, and the link between them.
#[derive(Debug)]
pub struct Examination {
    /// This host.
    pub here: EndFindings,
    /// The remote, or why it was not reached.
    pub there: Result<RemoteFindings, Error>,
}

/// The findings about a remote.
#[derive(Debug)]
pub struct RemoteFindings {
    /// The time until something answered there.
    pub took: Duration,
    /// The bytes of the agent, where it had to be sent.
    pub uploaded: Option<u64>,
    /// The reason why no agent runs there, and the way that a sync takes instead.
    pub without_agent: Option<String>,
    /// Its store and its host.
    pub end: EndFindings,
    /// The link to it. `None` where nothing could be measured: it has no agent, or is on this host.
    pub link: Option<LinkFindings>,
}

/// The findings about the store and the host of an end.
#[derive(Debug)]
pub struct EndFindings {
    /// The name of the store, for people: `docker 20.10.24, overlay2`; or why it cannot be opened.
    pub store: Result<String, Error>,
    /// The host, or why it says nothing. `None` where no agent runs there.
    pub host: Option<Result<Examined, Error>>,
}

/// The measurements of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFindings {
    /// The time of a request and its reply.
    pub delay: Duration,
    /// Bytes a second to the remote.
    pub up: u64,
    /// Bytes a second from the remote.
    pub down: u64,
    /// Milliseconds that the remote's clock is ahead of this host's.
    pub clock_ahead: i64,
}

/// The time that measuring a direction of the link takes, about.
const MEASURING: Duration = Duration::from_millis(600);
/// Bytes of the first try to measure it; each other one has four times as many, up to [`limits::PROBE`].
const FIRST_PROBE: usize = 32 << 10;
/// Requests by which the delay is measured.
const DELAYS: usize = 3;

/// Looks at this host and at a remote.
pub fn examine(remote: &Remote, options: &Options, observer: Arc<dyn Observer>) -> Examination {
    let (local, served) = Link::pair(&options.interrupt);
    let (version, interrupt) = (options.version.clone(), options.interrupt.clone());
    let serving = thread::spawn(move || endpoint::serve(served, &Site::here(&version, &interrupt)));
    let local = Local { link: local, served: Served::by_busy(serving, &options.interrupt) };
    let seen = Arc::new(Seen { observer, uploaded: Mutex::default(), warning: Mutex::default() });
    let (to, how) = (remote.clone(), options.clone());
    let told: Arc<dyn Observer> = seen.clone();
    let dial = Box::new(move || connect::dial(&to, &how, &told));
    over(local, dial, remote, options, &seen)
}

/// The same with a local end and a connection, which `dial` makes.
fn over(
    local: Local,
    mut dial: Box<Dial>,
    remote: &Remote,
    options: &Options,
    seen: &Arc<Seen>,
) -> Examination {
    let observer: Arc<dyn Observer> = seen.clone();
    let mut here = End::here(local, &observer, &options.interrupt);
    let here = match passwords::ask_here(&options.local_store, &*observer, &options.interrupt) {
        Ok(()) => end_findings(&mut here, &options.local_store, options, None),
        Err(error) => EndFindings { store: Err(error), host: Some(ask(&mut here, options, Vec::new(), 0)) },
    };
    let store = match remote {
        Remote::Ssh(_) => options.remote_store.clone(),
        Remote::Layout(spec) => destination::for_child(spec),
    };
    let name = remote.to_string();
    observer.event(Event::Connecting { remote: &name });
    let begun = Instant::now();
    let there = dial().map(|dialled| {
        let took = begun.elapsed();
        let without_agent = dialled.agentless.then(|| seen.warning());
        let mut there = End::remote(name, dialled, None, &observer, &options.interrupt);
        let end = end_findings(&mut there, &store, options, Some(&Asking::of(remote, options)));
        let is_measured = matches!(remote, Remote::Ssh(_)) && matches!(end.host, Some(Ok(_)));
        RemoteFindings {
            took,
            uploaded: *seen.uploaded.lock().unwrap_or_else(PoisonError::into_inner),
            without_agent,
            end,
            link: is_measured.then(|| measure(&mut there, options).ok()).flatten(),
        }
    });
    Examination { here, there }
}

/// Opens the store of an end, and has it describe its host.
fn end_findings(end: &mut End, store: &str, options: &Options, asking: Option<&Asking>) -> EndFindings {
    let open = open(store, options);
    let opened = match asking {
        Some(asking) => asking.open(end, &open),
        None => end.open(open),
    };
    let store = opened.map(|()| end.store.store.clone());
    let host = (!end.is_agentless()).then(|| ask(end, options, Vec::new(), 0));
    EndFindings { store, host }
}

/// Has an end describe its host.
fn ask(end: &mut End, options: &Options, probe: Vec<u8>, wanted: usize) -> Result<Examined, Error> {
    let folder = options.tmpfolder.as_ref().map(|path| path.to_string_lossy().into_owned());
    let (tmpfolder, count) = (folder.unwrap_or_default(), u32::try_from(wanted).unwrap_or(u32::MAX));
    match end.ask(&Request::Examine { tmpfolder, probe, wanted: count })? {
        Reply::Examined(examined) if examined.probe.len() == wanted => Ok(words::of_examined(examined)),
        _ => Err(end.out_of_turn("a description of its host")),
    }
}

fn measure(end: &mut End, options: &Options) -> Result<LinkFindings, Error> {
    let mut link = LinkFindings { delay: Duration::MAX, up: 0, down: 0, clock_ahead: 0 };
    for _ in 0..DELAYS {
        let (begun, before) = (Instant::now(), now());
        let examined = ask(end, options, Vec::new(), 0)?;
        let delay = begun.elapsed();
        if delay < link.delay {
            link.delay = delay;
            // The reply was written half of that time ago.
            let then = before.saturating_add(half_of(delay));
            link.clock_ahead = i64::try_from(examined.clock).unwrap_or(i64::MAX).saturating_sub(then);
        }
    }
    link.up = fastest(link.delay, |len| {
        let probe = random(len).map_err(Error::io("there is no randomness"))?;
        let begun = Instant::now();
        ask(end, options, probe, 0)?;
        Ok(begun.elapsed())
    })?;
    link.down = fastest(link.delay, |len| {
        let begun = Instant::now();
        ask(end, options, Vec::new(), len)?;
        Ok(begun.elapsed())
    })?;
    Ok(link)
}

/// The highest rate, in bytes a second, at which bytes cross that are sent again and again: a connection that was idle is
/// slow at first (RFC 5681, slow start).
fn fastest(delay: Duration, mut send: impl FnMut(usize) -> Result<Duration, Error>) -> Result<u64, Error> {
    let (mut len, mut best, begun) = (FIRST_PROBE, 0, Instant::now());
    while begun.elapsed() < MEASURING {
        let took = send(len)?.saturating_sub(delay).max(Duration::from_micros(1));
        let rate = len as u128 * 1_000_000 / took.as_micros();
        best = best.max(u64::try_from(rate).unwrap_or(u64::MAX));
        len = (len * 4).min(limits::PROBE);
    }
    Ok(best)
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn half_of(delay: Duration) -> i64 {
    i64::try_from(delay.as_millis() / 2).unwrap_or(i64::MAX)
}

/// An observer that remembers what happened while a connection was made.
struct Seen {
    observer: Arc<dyn Observer>,
    uploaded: Mutex<Option<u64>>,
    warning: Mutex<String>,
}

impl Seen {
    fn warning(&self) -> String {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Seen {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Uploading { bytes } => {
                *self.uploaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
            }
            Event::Warning(text) => {
                text.clone_into(&mut self.warning.lock().unwrap_or_else(PoisonError::into_inner));
            }
            _ => {}
        }
        self.observer.event(event);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use dsync_proto::{Failure, FailureKind, Folder, FolderPurpose};

    use super::*;
    use crate::error::Host;
    use crate::session::tests::{end, opened};
    use crate::transport::connection::Dialled;

    /// The answer of an end that describes its host, with as many bytes as are wanted.
    fn examined(request: &Request) -> Reply {
        let Request::Examine { wanted, .. } = request else { return opened("docker 28.5") };
        let folder = Folder { purpose: FolderPurpose::Images, path: "x".repeat(10_000), free: None };
        Reply::Examined(Examined {
            system: "s".repeat(10_000),
            uid: 1,
            clock: 0,
            has_rsync: false,
            folders: vec![folder; 100],
            probe: vec![0; *wanted as usize],
        })
    }

    fn between(
        answer: impl Fn(&Request) -> Reply + Send + 'static,
        remote: &str,
        agentless: bool,
    ) -> Examination {
        let (local, _) = end(examined);
        let (Local { link, served }, _) = end(answer);
        let (sent, received) = Default::default();
        let dialled = Dialled { link, pipe: None, sent, received, agentless, served };
        let seen = Seen { observer: Arc::new(()), uploaded: Mutex::default(), warning: Mutex::default() };
        let seen = Arc::new(seen);
        let told = Arc::clone(&seen);
        let mut dialled = Some(dialled);
        let dial = Box::new(move || {
            told.event(Event::Uploading { bytes: 7 });
            told.event(Event::Warning("no agent"));
            Ok(dialled.take().expect("it is dialled once"))
        });
        over(local, dial, &remote.parse().unwrap(), &Options::default(), &seen)
    }

    #[test]
    fn both_hosts_and_the_link_are_described() {
        let examination = between(examined, "build", false);
        assert_eq!(examination.here.store.unwrap(), "docker 28.5");
        let there = examination.there.unwrap();
        assert_eq!((there.uploaded, there.without_agent), (Some(7), None));
        let host = there.end.host.unwrap().unwrap();
        assert!(host.system.len() < 1000 && host.folders.len() == limits::FOLDERS, "texts are cut");
        assert!(host.folders[0].path.len() < 5000, "texts are cut");
        let link = there.link.unwrap();
        assert!(link.up > 0 && link.down > 0, "{link:?}");
        assert!(link.clock_ahead < -1_000_000_000, "its clock is of 1970: {link:?}");
    }

    #[test]
    fn an_engine_that_is_down_keeps_nothing_else_from_being_looked_at() {
        let down = |request: &Request| match request {
            Request::Open(_) => {
                Reply::Failed(Failure { kind: FailureKind::EngineDown, causes: vec!["down".into()] })
            }
            _ => examined(request),
        };
        let there = between(down, "build", false).there.unwrap();
        assert!(matches!(&there.end.store, Err(Error::Endpoint { host: Host::Remote(_), .. })));
        assert!(there.end.host.unwrap().is_ok() && there.link.is_some());
    }

    #[test]
    fn what_has_no_agent_or_no_link_is_not_measured() {
        let there = between(examined, "build", true).there.unwrap();
        assert_eq!(there.without_agent.as_deref(), Some("no agent"));
        assert!(there.end.host.is_none() && there.link.is_none());
        let there = between(examined, "oci:lay", false).there.unwrap();
        assert!(there.end.host.unwrap().is_ok() && there.link.is_none());
    }

    #[test]
    fn an_end_that_sends_other_bytes_than_were_wanted_breaks_the_protocol() {
        let wrong = |request: &Request| match request {
            Request::Examine { wanted, .. } if *wanted > 0 => examined(&Request::Examine {
                tmpfolder: String::new(),
                probe: Vec::new(),
                wanted: wanted - 1,
            }),
            request => examined(request),
        };
        assert_eq!(between(wrong, "build", false).there.unwrap().link, None);
    }

    #[test]
    fn a_link_is_as_fast_as_in_its_best_moment() {
        let sent = Cell::new(0);
        let rate = fastest(Duration::from_millis(10), |len| {
            sent.set(sent.get() + 1);
            std::thread::sleep(Duration::from_millis(30));
            Ok(Duration::from_millis(if len == limits::PROBE { 110 } else { 1000 }))
        });
        assert_eq!(rate.unwrap(), limits::PROBE as u64 * 10);
        assert!(sent.get() > 4);
    }
}
