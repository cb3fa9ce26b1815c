//! A client between two ends that say what a test has them say.

mod answers;

use std::sync::Mutex;

use dsync_proto::{ListedConfig, ListedPlatform, Opened, Status, UnreadableImage};

use super::*;
use crate::interrupt::Interrupt;
use crate::transport::connection::Dialled;
use crate::{Cost, LayerState};

/// The requests that an end was asked.
pub(super) type Heard = Arc<Mutex<Vec<Request>>>;

/// An end that answers each request as it is told to, until nobody asks any more.
pub(super) fn end(answer: impl Fn(&Request) -> Reply + Send + 'static) -> (Local, Heard) {
    let (client, mut end) = Link::pair(&Interrupt::default());
    let heard = Heard::default();
    let all = Arc::clone(&heard);
    let serving = thread::spawn(move || {
        while let Ok(request) = end.next_request() {
            let reply = answer(&request);
            all.lock().unwrap().push(request);
            end.outbox.reply(&reply)?;
        }
        Ok(())
    });
    (Local { link: client, served: Served::by(serving) }, heard)
}

pub(super) fn opened(store: &str) -> Reply {
    let (store, version) = (store.to_owned(), String::new());
    Reply::Opened(Opened { store, id_is_config: true, has_packages: false, keeps_referrers: false, version })
}

fn image(config: ListedConfig) -> ListedImage {
    ListedImage {
        id: [7; 32],
        config,
        names: vec!["img:1".into()],
        digests: Vec::new(),
        diff_ids: vec![[8; 32]],
        platform: ListedPlatform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
        size: 1,
        created: String::new(),
    }
}

fn list(image: ListedImage) -> Reply {
    Reply::Images { images: vec![image], unreadable: Vec::new(), names: Vec::new() }
}

fn survey(open: bool) -> Reply {
    Reply::Surveyed(vec![Survey {
        status: vec![Status::New],
        layers: vec![LayerState::Missing],
        basis: Vec::new(),
        open,
        holders: vec![None],
        foreign_to: String::new(),
    }])
}

fn sent(costs: Vec<Cost>) -> Reply {
    Reply::Sent { raw: u64::MAX, packed: u64::MAX, metadata: u64::MAX, costs }
}

fn received() -> Reply {
    Reply::Received(Received { id: [7; 32], layers: Vec::new(), was_there: false, packed_again: 0 })
}

/// A target that takes everything.
fn target(request: &Request) -> Reply {
    match request {
        Request::Open(_) => opened("docker"),
        Request::Survey { .. } => survey(false),
        _ => received(),
    }
}

/// Runs a session between this host and a remote.
fn with<T>(
    direction: Direction,
    local: Local,
    remote: Local,
    observer: Arc<dyn Observer>,
    run: impl FnOnce(&mut Session) -> Result<T, Error>,
) -> Result<T, Error> {
    let options = Options::default();
    let Local { link, served } = remote;
    let dialled = Dialled {
        link,
        pipe: None,
        sent: Arc::default(),
        received: Arc::default(),
        agentless: false,
        served,
    };
    let remote = Remote::Layout("oci:elsewhere".into());
    let mut dialled = Some(dialled);
    let dial = Box::new(move || Ok(dialled.take().expect("it is dialled once")));
    let session = Session::over(local, dial, None, &remote, direction, options, observer);
    session.and_then(|mut session| run(&mut session))
}

/// The outcome of a sync from a remote that answers so, and how often the target was asked to take an image.
fn pulled(answer: impl Fn(&Request) -> Reply + Send + 'static) -> (Result<Outcome, Error>, usize) {
    let (local, heard) = end(target);
    let (remote, _) = end(answer);
    let outcome = with(Direction::Pull, local, remote, Arc::new(()), |session| {
        let report = session.report(&["img:1".into()])?;
        session.sync(&report.entries[0], &[], false)
    });
    let receives = heard.lock().unwrap().iter().filter(|r| matches!(r, Request::Receive(_))).count();
    (outcome, receives)
}

fn kind(result: Result<Outcome, Error>) -> Option<FailureKind> {
    result.unwrap_err().failure_kind()
}

#[test]
fn a_new_name_is_for_the_target_alone() {
    let (local, at_target) = end(target);
    let (remote, at_source) = end(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        _ => sent(Vec::new()),
    });
    let report = |session: &mut Session| session.report(&["img:1=shop/web:2".into()]);
    let report = with(Direction::Pull, local, remote, Arc::new(()), report).unwrap();
    assert_eq!(report.entries[0].label(), "shop/web:2");
    let asked = |request: &Request| match request {
        Request::List { patterns } => Some(patterns.clone()),
        Request::Survey { images, .. } => Some(images[0].names.clone()),
        _ => None,
    };
    assert_eq!(at_source.lock().unwrap().iter().find_map(asked).unwrap(), ["img:1"]);
    assert_eq!(at_target.lock().unwrap().iter().find_map(asked).unwrap(), ["shop/web:2"]);
}

#[test]
fn an_image_whose_config_is_not_its_id_is_refused_before_the_target_hears_of_it() {
    for listed in [ListedConfig::Digest([9; 32]), ListedConfig::Unknown] {
        let (outcome, receives) = pulled(move |request| match request {
            Request::Open(_) => opened("docker"),
            Request::List { .. } => list(image(listed)),
            Request::Configs { .. } => Reply::Configs(vec![Some([9; 32])]),
            _ => sent(Vec::new()),
        });
        assert_eq!((kind(outcome), receives), (Some(FailureKind::AnotherImage), 0), "{listed:?}");
    }
    let (outcome, receives) = pulled(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        _ => sent(Vec::new()),
    });
    assert_eq!((outcome.is_ok(), receives), (true, 1));
}

#[test]
fn of_an_account_of_more_files_than_any_the_first_are_taken() {
    let cost = |layer| Cost { layer, path: String::new(), files: 1, changed: false, raw: 1, packed: 1 };
    let with = |count: u32| {
        pulled(move |request| match request {
            Request::Open(_) => opened("docker"),
            Request::List { .. } => list(image(ListedConfig::Id)),
            _ => sent((0..count).map(cost).collect()),
        })
    };
    // The image is there by then, so it is no failure.
    assert!(with(200_000).0.unwrap().costs.len() < 10_000);
    assert_eq!(with(100).0.unwrap().costs.len(), 100);
}

#[test]
fn the_words_of_this_host_count_where_both_ends_fail() {
    let failed = |kind| Reply::Failed(Failure { kind, causes: vec!["x".into()] });
    let both = |here, there| {
        let (local, _) = end(move |request| match request {
            Request::Receive(_) => failed(here),
            other => target(other),
        });
        let (remote, _) = end(move |request| match request {
            Request::Open(_) => opened("docker"),
            Request::List { .. } => list(image(ListedConfig::Id)),
            _ => failed(there),
        });
        kind(with(Direction::Pull, local, remote, Arc::new(()), |session| {
            let report = session.report(&[])?;
            session.sync(&report.entries[0], &[], false)
        }))
    };
    use FailureKind::{Aborted, AnotherImage, Broken, Usage};
    assert_eq!(both(AnotherImage, Usage), Some(AnotherImage));
    assert_eq!(both(AnotherImage, Aborted), Some(AnotherImage));
    assert_eq!(both(Aborted, Broken), Some(Broken));
}

#[test]
fn a_target_cannot_ask_for_configs_that_are_known() {
    let (local, heard) = end(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        Request::Configs { .. } => Reply::Configs(vec![None]),
        _ => sent(Vec::new()),
    });
    let (remote, _) = end(|request| match request {
        Request::Survey { .. } => survey(true),
        other => target(other),
    });
    let report = with(Direction::Push, local, remote, Arc::new(()), |session| session.report(&[]));
    assert!(report.unwrap().entries[0].image.config.is_some());
    assert!(!heard.lock().unwrap().iter().any(|request| matches!(request, Request::Configs { .. })));
}

/// The longest of some texts, in characters.
fn longest<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| text.chars().count()).max().unwrap()
}

#[test]
fn what_a_remote_says_for_people_is_cut() {
    let long = || "ä".repeat(1 << 20);
    let (outcome, _) = pulled(move |request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        _ => Reply::Failed(Failure { kind: FailureKind::Other, causes: vec![long(), "short".into()] }),
    });
    let Err(Error::Endpoint { failure, .. }) = outcome else { panic!() };
    assert!(longest(&failure.causes) < 5_000);
    assert_eq!(failure.causes[1], "short");
    let (outcome, _) = pulled(|request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => list(image(ListedConfig::Id)),
        _ => Reply::Failed(Failure { kind: FailureKind::Other, causes: vec!["why".into(); 1 << 18] }),
    });
    let Err(Error::Endpoint { failure, .. }) = outcome else { panic!() };
    assert!(failure.causes.len() < 100);

    let (local, _) = end(target);
    let (remote, _) = end(move |request| match request {
        Request::Open(_) => opened(&long()),
        _ => {
            let platform = ListedPlatform { os: long(), architecture: long(), variant: long() };
            let listed = ListedImage { created: long(), platform, ..image(ListedConfig::Id) };
            let unreadable = UnreadableImage { id: None, names: vec!["img:2".into()], reason: long() };
            Reply::Images { images: vec![listed], unreadable: vec![unreadable], names: Vec::new() }
        }
    });
    let report = with(Direction::Pull, local, remote, Arc::new(()), |session| session.report(&[]));
    let report = report.unwrap();
    let Image { created, platform, .. } = &report.entries[0].image;
    let told = [&report.source, &report.unreadable[0].reason, created, &platform.os, &platform.variant];
    assert!(longest(told) < 5_000);

    let (local, _) = end(move |request| match request {
        Request::Open(_) => opened("docker"),
        Request::List { .. } => Reply::Images {
            images: Vec::new(),
            unreadable: Vec::new(),
            names: vec![format!("img{}", long())],
        },
        _ => sent(Vec::new()),
    });
    let (remote, _) = end(target);
    let error =
        with(Direction::Push, local, remote, Arc::new(()), |session| session.report(&["img:1".into()]));
    let Err(Error::NoSuchImage { close, .. }) = error else { panic!() };
    assert!(close.iter().all(|name| name.len() < 5_000));
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.into());
        }
    }
}

#[test]
fn a_digest_of_a_registry_is_what_a_remote_says_and_a_person_is_told() {
    let warnings = |selector: String, direction| {
        let observer = Arc::new(Warnings::default());
        let source = || {
            end(|request| match request {
                Request::Open(_) => opened("docker"),
                Request::List { .. } => {
                    list(ListedImage { digests: vec![[5; 32]], ..image(ListedConfig::Id) })
                }
                _ => sent(Vec::new()),
            })
        };
        let ((local, _), (remote, _)) = match direction {
            Direction::Pull => (end(target), source()),
            Direction::Push => (source(), end(target)),
        };
        let told = Arc::clone(&observer);
        let report =
            with(direction, local, remote, told, |session| session.report(std::slice::from_ref(&selector)));
        assert_eq!(report.unwrap().entries.len(), 1);
        observer.0.lock().unwrap().len()
    };
    let [id, registry] = [[7; 32], [5; 32]].map(Digest::from_bytes);
    assert_eq!(warnings(format!("img:1@{registry}"), Direction::Pull), 1);
    assert_eq!(warnings(format!("img:1@{registry}"), Direction::Push), 0, "this host is believed");
    assert_eq!(warnings(format!("img:1@{id}"), Direction::Pull), 0);
    assert_eq!(warnings("img:1".into(), Direction::Pull), 0);
}

#[test]
fn a_config_or_a_platform_that_was_asked_for_has_to_be_proven_of_what_keeps_its_id() {
    let proven_for = |selector: &str, platform: Option<&str>| {
        let packages = || {
            let store = "docker".to_owned();
            Reply::Opened(Opened {
                store,
                id_is_config: false,
                has_packages: true,
                keeps_referrers: true,
                version: String::new(),
            })
        };
        let (local, heard) = end(move |request| match request {
            Request::Open(_) => packages(),
            other => target(other),
        });
        let (remote, _) = end(move |request| match request {
            Request::Open(_) => packages(),
            Request::List { .. } => list(image(ListedConfig::Digest([9; 32]))),
            _ => sent(Vec::new()),
        });
        let selection = [selector.to_owned()];
        with(Direction::Pull, local, remote, Arc::new(()), |session| {
            session.options.platform = platform.map(|platform| platform.parse().unwrap());
            let report = session.report(&selection)?;
            session.sync(&report.entries[0], &[], false)
        })
        .unwrap();
        let heard = heard.lock().unwrap();
        heard.iter().any(|request| matches!(request, Request::Receive(receive) if receive.prove))
    };
    let proven = |selector: &str| proven_for(selector, None);
    let [id, config] = [[7; 32], [9; 32]].map(Digest::from_bytes);
    assert!(proven(&config.to_string()));
    assert!(proven(&format!("img:1@{config}")));
    assert!(!proven(&id.to_string()));
    assert!(!proven(&format!("img:1@{id}")));
    assert!(!proven("img:1"));
    assert!(proven_for("img:1", Some("linux/amd64")), "nothing else covers the manifest of one platform");
}
