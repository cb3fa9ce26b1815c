//! The client's side: dials the remote, asks both ends, and joins source and target for each image.

mod chosen;
mod connect;
mod events;
mod relay;
pub(crate) mod report;
mod words;

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dsync_core::{Digest, Image, ImageId, ImageRef, Unreadable};
use dsync_proto::{
    Failure, FailureKind, ListedImage, Open, Opened, Receive, Received, Reply, Request, Survey, limits,
};

use crate::convert::{from_wire, to_wire, unreadable_from_wire};
use crate::endpoint::{self, Site};
use crate::error::{Error, Side};
use crate::event::{Event, Observer};
use crate::failure::Breach;
use crate::inventory::select::{Pin, Selector};
use crate::link::Link;
use crate::options::{Direction, Identity, Options};
use crate::outcome::{LayerOutcome, Outcome, Traffic};
use crate::transport::connection::{Dialled, Served};
use crate::transport::destination::{self, Remote};
use crate::transport::link_speed;
use crate::transport::ssh::Pipe;
use chosen::Chosen;
use report::{Entry, Report};

/// A connection between the stores of two hosts.
pub struct Session {
    local: Link,
    remote: Link,
    local_store: Opened,
    remote_store: Opened,
    direction: Direction,
    name: String,
    options: Options,
    observer: Arc<dyn Observer>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    /// Layers go whole: the remote has no agent that could say what it has.
    whole: bool,
    /// What is remembered of the link.
    known: Option<link_speed::Known>,
    // The order matters: a link that is gone ends who serves it, and then nobody needs the connection.
    _served: [Served; 2],
    /// The child process that holds the connection, if one does.
    pipe: Option<Pipe>,
}

impl Session {
    /// Connects to the remote, with an agent at its end, and opens both stores.
    pub fn connect(
        remote: &Remote,
        direction: Direction,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Session, Error> {
        let name = remote.to_string();
        observer.event(Event::Connecting { remote: &name });
        let (local, served) = Link::pair(&options.interrupt);
        let (version, interrupt) = (options.version.clone(), options.interrupt.clone());
        // It is not waited for: it may be waiting for an engine, and ends with the process.
        thread::spawn(move || endpoint::serve(served, &Site::here(&version, &interrupt)));
        let dialled = connect::dial(remote, &options, &observer)?;
        let known = link_speed::Known::of(remote, direction);
        Session::over((local, Served::default()), dialled, known, (remote, direction), options, observer)
    }

    /// Opens both stores, of the local end and of the other end of a connection.
    pub(crate) fn over(
        (local, local_served): (Link, Served),
        Dialled { link, pipe, sent, received, whole, served }: Dialled,
        known: Option<link_speed::Known>,
        (remote, direction): (&Remote, Direction),
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Session, Error> {
        let unopened =
            Opened { store: String::new(), id_is_config: true, has_packages: false, version: String::new() };
        let mut session = Session {
            local,
            remote: link,
            local_store: unopened.clone(),
            remote_store: unopened,
            direction,
            name: remote.to_string(),
            options,
            observer,
            sent,
            received,
            whole,
            known,
            _served: [local_served, served],
            pipe,
        };
        session.observer.event(Event::Opening { remote: &session.name });
        session.open(remote)?;
        Ok(session)
    }

    fn open(&mut self, remote: &Remote) -> Result<(), Error> {
        let options = &self.options;
        let tmpfolder =
            options.tmpfolder.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let platform = options.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        let open = |store: &str| {
            Request::Open(Open {
                store: store.into(),
                tmpfolder: tmpfolder.clone(),
                platform: platform.clone(),
                memory: options.memory,
            })
        };
        let there = match remote {
            Remote::Ssh(_) => open(&options.remote_store),
            Remote::Layout(spec) => open(&destination::for_child(spec)),
        };
        let here = open(&options.local_store);
        let expect = |reply| match reply {
            Reply::Opened(opened) => Ok(words::of_store(opened)),
            _ => Err(Error::OutOfTurn { expected: "a store" }),
        };
        self.remote_store = expect(self.ask(Side::Remote, &there)?)?;
        self.local_store = expect(self.ask(Side::Local, &here)?)?;
        for (side, store) in [(Side::Local, &self.local_store), (Side::Remote, &self.remote_store)] {
            let note = format!("{side} has {}", store.store);
            self.observer.event(Event::Note(&note));
        }
        Ok(())
    }

    /// How the target stands to the source, for all images with a name or for those that are selected.
    pub fn report(&mut self, selection: &[String]) -> Result<Report, Error> {
        let usage = |message: String| Error::Endpoint {
            side: Side::Local,
            failure: Failure { kind: FailureKind::Usage, causes: vec![message] },
        };
        let selectors: Vec<Selector> =
            selection.iter().map(|text| Selector::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
        let (source, target) = self.sides();
        self.observer.event(Event::Listing { store: &self.store(source).store });
        let list = Request::List { patterns: selection.to_vec() };
        let Reply::Images { images: listed, unreadable, names } = self.ask(source, &list)? else {
            return Err(Error::OutOfTurn { expected: "a list of images" });
        };
        let bad = |error| Error::Endpoint { side: source, failure: Failure::from(error) };
        let images = listed.into_iter().map(|listed| from_wire(&listed).map(words::of_image));
        let images: Vec<Image> = images.collect::<Result<_, _>>().map_err(bad)?;
        let unreadable = unreadable.iter().map(|u| unreadable_from_wire(u).map(words::of_unreadable));
        let unreadable: Vec<Unreadable> = unreadable.collect::<Result<_, _>>().map_err(bad)?;
        let mut chosen = chosen::choose(&selectors, images, &unreadable, &words::of_names(names))?;
        chosen::check_pins(&chosen, source, self.store(source).id_is_config)?;
        if source == Side::Remote {
            for unproven in chosen::unproven(&selectors, &chosen) {
                self.observer.event(Event::Warning(&unproven));
            }
        }
        self.observer.event(Event::Listing { store: &self.store(target).store });
        let mut surveys = self.survey(target, &chosen)?;
        let is_open = |at: &usize| surveys[*at].open && chosen[*at].image.config.is_none();
        let open: Vec<usize> = (0..surveys.len()).filter(is_open).collect();
        if !open.is_empty() {
            let ids: Vec<ImageId> = open.iter().map(|at| chosen[*at].image.id).collect();
            for (at, config) in open.iter().zip(self.configs(source, &ids)?) {
                chosen[*at].image.config = config;
            }
            let again: Vec<Chosen> = open.iter().map(|at| chosen[*at].clone()).collect();
            for (at, survey) in open.iter().zip(self.survey(target, &again)?) {
                surveys[*at] = survey;
            }
        }
        let entries = chosen::entries(chosen, surveys)
            .ok_or(Error::OutOfTurn { expected: "a survey of every layer" })?;
        Ok(Report {
            source: self.store(source).store.clone(),
            target: self.store(target).store.clone(),
            entries,
            unreadable,
        })
    }

    /// What it would take the target to have these images, one by one.
    fn survey(&mut self, target: Side, chosen: &[Chosen]) -> Result<Vec<Survey>, Error> {
        let images: Vec<ListedImage> = chosen
            .iter()
            .map(|Chosen { image, names, .. }| {
                let names = names.iter().flatten().map(ToString::to_string).collect();
                ListedImage { names, ..to_wire(image) }
            })
            .collect();
        // Of one platform of several the ID is another.
        let exact = self.exact() && self.options.platform.is_none();
        match self.ask(target, &Request::Survey { images, exact })? {
            Reply::Surveyed(surveys) if surveys.len() == chosen.len() => {
                Ok(surveys.into_iter().map(words::of_survey).collect())
            }
            _ => Err(Error::OutOfTurn { expected: "a survey of every image" }),
        }
    }

    /// The digests of the configs of these images.
    fn configs(&mut self, side: Side, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, Error> {
        let images = ids.iter().map(|id| *id.as_bytes()).collect();
        match self.ask(side, &Request::Configs { images })? {
            Reply::Configs(configs) if configs.len() == ids.len() => {
                Ok(configs.into_iter().map(|config| config.map(Digest::from_bytes)).collect())
            }
            _ => Err(Error::OutOfTurn { expected: "the digests of configs" }),
        }
    }

    /// Brings one image over, or finds out what that would cost. It gets the names `also`, beside that of the entry.
    pub fn sync(&mut self, entry: &Entry, also: &[ImageRef], dry_run: bool) -> Result<Outcome, Error> {
        let entry = &Entry { image: self.with_config(&entry.image)?, ..entry.clone() };
        let label = entry.label();
        if self.options.interrupt.happened() {
            return Err(Error::Interrupted);
        }
        self.observer.event(Event::Image { name: &label, image: &entry.image });
        let (whole, observer) = (self.whole, Arc::clone(&self.observer));
        let mut transfer = |whole| self.transfer(entry, also, dry_run, whole);
        match transfer(whole) {
            Err(Error::Endpoint { failure, .. }) if failure.kind == FailureKind::Mismatch && !whole => {
                observer.event(Event::Warning("a layer came out wrong; sending it whole"));
                transfer(true)
            }
            Err(Error::Endpoint { failure, .. }) if failure.kind == FailureKind::Changed => {
                observer.event(Event::Warning("an image was removed from the target meanwhile; once more"));
                transfer(whole)
            }
            result => result,
        }
    }

    /// The image with the digest of its config, which its source may have to be asked for.
    fn with_config(&mut self, image: &Image) -> Result<Image, Error> {
        let (source, _) = self.sides();
        let config = match image.config {
            Some(config) => Some(config),
            None => self.configs(source, &[image.id])?.into_iter().next().flatten(),
        };
        let untold = || {
            let causes = vec![format!("the source does not tell the config of {}", image.id)];
            Error::Endpoint { side: source, failure: Failure { kind: FailureKind::Broken, causes } }
        };
        let config = config.ok_or_else(untold)?;
        if self.ids_are_configs() && config.as_bytes() != image.id.as_bytes() {
            let causes = vec![format!("the source gives the config {config} for {}", image.id)];
            let failure = Failure { kind: FailureKind::AnotherImage, causes };
            return Err(Error::Endpoint { side: source, failure });
        }
        Ok(Image { config: Some(config), ..image.clone() })
    }

    /// True where an image has the same ID on both sides, since that is the digest of its config.
    fn ids_are_configs(&self) -> bool {
        self.local_store.id_is_config && self.remote_store.id_is_config
    }

    /// Has the target read the image again, which must be there under its name and those of `also`, and check every
    /// byte. Returns how many bytes it read.
    pub fn verify(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u64, Error> {
        let (_, target) = self.sides();
        let names = entry.name.iter().chain(also).map(ToString::to_string).collect();
        let image = ListedImage { names, ..to_wire(&self.with_config(&entry.image)?) };
        match self.ask(target, &Request::Verify { image })? {
            Reply::Verified { bytes } => Ok(bytes),
            _ => Err(Error::OutOfTurn { expected: "a proof" }),
        }
    }

    fn transfer(
        &mut self,
        entry: &Entry,
        also: &[ImageRef],
        dry_run: bool,
        whole: bool,
    ) -> Result<Outcome, Error> {
        let before = self.traffic();
        let (source, target) = self.sides();
        // Where the target makes all that the ID is the digest of, or the config is, nothing else has to be proven. The
        // manifest of one platform is known by nothing else.
        let one_of_several = self.exact() && self.options.platform.is_some();
        let keeps_id = self.exact() && !one_of_several;
        // An index with the ID has other configs beside the one that was asked for.
        let is_proven =
            if keeps_id { entry.pin != Pin::Config } else { entry.pin == Pin::None && !one_of_several };
        let prove = !self.store(source).id_is_config && !is_proven;
        let key = random().map_err(Error::io("there is no randomness"))?;
        let receive = Request::Receive(Receive {
            image: to_wire(&entry.image),
            names: entry.name.iter().chain(also).map(ToString::to_string).collect(),
            basis: self.options.basis.as_ref().map(ToString::to_string).unwrap_or_default(),
            whole,
            dry_run,
            exact: self.exact(),
            prove,
            key,
        });
        let send = Request::Send {
            image: *entry.image.id.as_bytes(),
            compression: self.options.compression,
            speed: self.known.as_ref().and_then(link_speed::Known::speed),
            dry_run,
            explain: self.options.explain,
            exact: self.exact(),
            prove,
            key,
        };
        self.tell(target, &receive)?;
        self.tell(source, &send)?;
        let (source_link, target_link) = match self.direction {
            Direction::Pull => ((&mut self.remote, true), (&mut self.local, false)),
            Direction::Push => ((&mut self.local, false), (&mut self.remote, true)),
        };
        let (sent, received, speed) = relay::both(source_link, target_link, &*self.observer);
        let (sent, received) = self.settle((source, sent), (target, received))?;
        if let (Some(known), Some(speed)) = (&self.known, speed.get()) {
            known.note(speed);
        }
        let Reply::Sent { raw, packed, told, mut costs } = sent else {
            return Err(Error::OutOfTurn { expected: "an account" });
        };
        costs.truncate(limits::COSTS);
        let Reply::Received(Received { id, layers, was_there, packed_again }) = received else {
            return Err(Error::OutOfTurn { expected: "an image" });
        };
        let id = ImageId::from_bytes(id);
        let same_id = self.ids_are_configs() || self.exact() && self.options.platform.is_none();
        if same_id && id != entry.image.id {
            let causes = vec![format!("the target made image {id} of image {}", entry.image.id)];
            return Err(Error::Endpoint {
                side: target,
                failure: Failure { kind: FailureKind::AnotherImage, causes },
            });
        }
        let after = self.traffic();
        let layers =
            layers.iter().map(|l| LayerOutcome { state: l.state, len: l.len, reused: l.reused }).collect();
        let traffic = Traffic { sent: after.sent - before.sent, received: after.received - before.received };
        Ok(Outcome { id, was_there, layers, packed_again, raw, packed, told, costs, traffic })
    }

    /// Whether the image is to have the source's ID, where that is more than its content.
    fn exact(&self) -> bool {
        let packages = self.local_store.has_packages && self.remote_store.has_packages;
        packages && self.options.identity == Identity::Exact
    }

    /// Both replies, or the failure that came first: not the one of a side that was told to give up.
    fn settle(
        &mut self,
        (source, sent): (Side, io::Result<Reply>),
        (target, received): (Side, io::Result<Reply>),
    ) -> Result<(Reply, Reply), Error> {
        let sent = self.unwrap_reply(source, sent);
        let received = self.unwrap_reply(target, received);
        match (sent, received) {
            (Ok(sent), Ok(received)) => Ok((sent, received)),
            (Err(lost @ Error::Lost { .. }), _) | (_, Err(lost @ Error::Lost { .. })) => Err(lost),
            (Err(error), Err(other)) if error.failure_kind() == Some(FailureKind::Aborted) => Err(other),
            (Ok(_), Err(error)) | (Err(error), Ok(_))
                if error.failure_kind() == Some(FailureKind::Aborted) =>
            {
                let what = "it says that it is done before it is".into();
                Err(Error::Protocol { end: self.name.clone(), what })
            }
            // The remote may say anything, and so hide what this host has found out about it.
            (Err(Error::Endpoint { side: Side::Remote, .. }), Err(here @ Error::Endpoint { .. }))
                if here.failure_kind() != Some(FailureKind::Aborted) =>
            {
                Err(here)
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// What crossed the connection until now.
    pub fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }

    /// Ends both ends.
    pub fn close(self) {
        drop(self);
    }

    fn sides(&self) -> (Side, Side) {
        match self.direction {
            Direction::Pull => (Side::Remote, Side::Local),
            Direction::Push => (Side::Local, Side::Remote),
        }
    }

    fn store(&self, side: Side) -> &Opened {
        match side {
            Side::Local => &self.local_store,
            Side::Remote => &self.remote_store,
        }
    }

    fn link(&self, side: Side) -> &Link {
        match side {
            Side::Local => &self.local,
            Side::Remote => &self.remote,
        }
    }

    fn tell(&mut self, side: Side, request: &Request) -> Result<(), Error> {
        let told = self.link(side).outbox.request(request);
        told.map_err(|error| self.lost(side, error))
    }

    fn ask(&mut self, side: Side, request: &Request) -> Result<Reply, Error> {
        self.tell(side, request)?;
        let link = match side {
            Side::Local => &mut self.local,
            Side::Remote => &mut self.remote,
        };
        // Between source and target there is nothing to be said now.
        let out_of_turn = |_| Err(Breach("it sent something out of turn".into()).into());
        let reply = relay::reply(&mut link.inbox, &*self.observer, out_of_turn);
        self.unwrap_reply(side, reply)
    }

    fn unwrap_reply(&mut self, side: Side, reply: io::Result<Reply>) -> Result<Reply, Error> {
        match reply {
            Ok(Reply::Failed(_)) if self.options.interrupt.happened() => Err(Error::Interrupted),
            // Without an agent, what fails since the connection is gone fails in this process.
            Ok(Reply::Failed(_)) if side == Side::Remote && self.whole && self.ends_soon() => {
                Err(self.lost_connection())
            }
            Ok(Reply::Failed(failure)) => Err(Error::Endpoint { side, failure: words::of_failure(failure) }),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.lost(side, error)),
        }
    }

    fn ends_soon(&mut self) -> bool {
        self.pipe.as_mut().is_some_and(Pipe::ends_soon)
    }

    fn lost_connection(&mut self) -> Error {
        match &mut self.pipe {
            None => Error::Lost { host: self.name.clone(), message: String::new() },
            Some(pipe) => {
                pipe.end();
                pipe.ended(&self.name)
            }
        }
    }

    /// Why an end no longer answers.
    fn lost(&mut self, side: Side, error: io::Error) -> Error {
        if self.options.interrupt.happened() {
            return Error::Interrupted;
        }
        // What can no longer be told anything has perhaps said why.
        let said = if side == Side::Remote { self.remote.inbox.failure() } else { None };
        if let Some(what) = said.as_ref().and_then(relay::breach).or_else(|| relay::breach(&error)) {
            self.pipe.as_mut().map(Pipe::hurry);
            let end = if side == Side::Remote { self.name.clone() } else { side.to_string() };
            return Error::Protocol { end, what };
        }
        let ended = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe);
        match side {
            Side::Remote if ended => {
                // The link stays as it is; its process has closed its end and says why.
                self.lost_connection()
            }
            _ => Error::Io { what: format!("{side} no longer answers"), source: error },
        }
    }
}

/// A key that nobody can guess.
fn random() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
