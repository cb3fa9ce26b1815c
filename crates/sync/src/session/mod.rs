//! A run of the client: connects, asks both ends, and joins source and target for each image.

mod chosen;
mod connect;
mod end;
mod events;
pub(crate) mod examine;
mod relay;
pub(crate) mod report;
mod retry;
pub(crate) mod route;
mod sudo;
mod words;

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::thread;

use dsync_core::{Digest, Image, ImageId, ImageRef, Unreadable};
use dsync_proto::{
    Failure, FailureKind, ListedImage, Open, Receive, Received, Reply, Request, Survey, limits,
};

use crate::conversation::{Attempt, Preserved};
use crate::convert::{from_wire, to_wire, unreadable_from_wire};
use crate::endpoint::{self, Site};
use crate::error::{Error, Host};
use crate::event::{Event, Observer};
use crate::fallback::partial_images::PartialImages;
use crate::inventory::select::{Pin, Selector};
use crate::link::Link;
use crate::options::{Direction, Identity, Options, Referrers};
use crate::outcome::Outcome;
use crate::passwords;
use crate::traffic::Traffic;
use crate::transport::connection::{Local, Served};
use crate::transport::destination::{self, Remote};
use crate::transport::link_speed::{self, Speed};
use chosen::Chosen;
use end::End;
use report::{Entry, Report};
use retry::{Tries, Watch};
use route::{Dial, Route};
use sudo::Asking;

/// A run between the store of this host and that of a remote, either of which is the source. Of the targets there is one
/// today.
pub struct Session {
    source: End,
    /// One at the least.
    targets: Vec<End>,
    /// The route to the one of them that is remote.
    route: Route,
    /// The bytes that crossed connections which were lost.
    lost: Traffic,
    options: Options,
    observer: Arc<Watch>,
}

impl Session {
    /// Connects to the remote, with an agent at its end, and opens both stores.
    pub fn connect(
        remote: &Remote,
        direction: Direction,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Session, Error> {
        let (local, served) = Link::pair(&options.interrupt);
        let (version, interrupt) = (options.version.clone(), options.interrupt.clone());
        let serving = thread::spawn(move || endpoint::serve(served, &Site::here(&version, &interrupt)));
        let speed = link_speed::RememberedSpeed::of(remote, direction);
        let local = Local { link: local, served: Served::by_busy(serving, &options.interrupt) };
        let (to, how, told) = (remote.clone(), options.clone(), Arc::clone(&observer));
        let dial = Box::new(move || connect::dial(&to, &how, &told));
        Session::over(local, dial, speed, remote, direction, options, observer)
    }

    /// Opens both stores, of the local end and of the other end of a connection, which `dial` makes.
    pub(crate) fn over(
        local: Local,
        dial: Box<Dial>,
        speed: Option<link_speed::RememberedSpeed>,
        remote: &Remote,
        direction: Direction,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Session, Error> {
        let mut here = End::here(local, &observer, &options.interrupt);
        let open_there = match remote {
            Remote::Ssh(_) => open(&options.remote_store, &options),
            Remote::Layout(spec) => open(&destination::for_child(spec), &options),
        };
        let (told, interrupt) = (Arc::clone(&observer), options.interrupt.clone());
        let name = remote.to_string();
        let asking = Asking::of(remote, &options);
        let mut route = Route { name, open: open_there, asking, dial, speed, observer: told, interrupt };
        let observer = Watch::new(observer);
        let there = route.connect(&mut Tries::new(&options, &observer))?;
        let host = &Host::Here.to_string();
        observer.event(Event::Waiting { program: "its engine", host, seconds: 0 });
        passwords::ask_here(&options.local_store, &*observer, &options.interrupt)?;
        here.open(open(&options.local_store, &options))?;
        observer.event(Event::Note(&format!("this host has {}", here.store.store)));
        observer.event(Event::Note(&format!("the remote has {}", there.store.store)));
        let (source, target) = match direction {
            Direction::Pull => (there, here),
            Direction::Push => (here, there),
        };
        let lost = Traffic::default();
        Ok(Session { source, targets: vec![target], route, lost, options, observer })
    }

    /// The source, and the target that a report or a sync is about.
    fn pair(&mut self) -> Pair<'_> {
        let Session { source, targets, options, observer, .. } = self;
        Pair { source, target: &mut targets[0], options, observer }
    }

    /// The status of images at the target: of all with a name, or of those that are selected.
    pub fn report(&mut self, selection: &[String]) -> Result<Report, Error> {
        self.retrying(|pair| pair.report(selection))
    }

    /// Does a step, and again with another connection where the one that there is fails.
    fn retrying<T>(&mut self, mut step: impl FnMut(&mut Pair<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut tries = Tries::new(&self.options, &self.observer);
        loop {
            match step(&mut self.pair()) {
                Err(failed) => tries.again(failed)?,
                done => return done,
            }
            let there = self.route.connect(&mut tries)?;
            let end = if self.source.is_remote() { &mut self.source } else { &mut self.targets[0] };
            self.lost = self.lost.plus(end.traffic());
            *end = there;
        }
    }

    /// Brings one image over, or finds out what that would cost. It gets the names `also`, beside that of the entry.
    pub fn sync(&mut self, entry: &Entry, also: &[ImageRef], dry_run: bool) -> Result<Outcome, Error> {
        let (before, lost) = (self.traffic(), self.lost);
        let mut outcome = self.retrying(|pair| pair.sync(entry, also, dry_run))?;
        if !dry_run && self.source.is_remote() {
            // Partial transfers of an image that arrived are of no more use, also those without an agent.
            let partial = PartialImages::find(self.options.tmpfolder.as_deref());
            let forgotten = partial.map_or(Ok(()), |partial| partial.forget(&entry.image));
            forgotten.unwrap_or_else(|error| {
                let note = format!("a partial transfer stays until it expires: {error}");
                self.observer.event(Event::Note(&note));
            });
        }
        if self.lost != lost {
            // The bytes that crossed in vain, too.
            outcome.traffic = self.traffic().minus(before);
        }
        Ok(outcome)
    }

    /// Has the target read the image again, which must be there under its name and those of `also`, and check every
    /// byte. Returns how many bytes it read.
    pub fn verify(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u64, Error> {
        self.retrying(|pair| pair.verify(entry, also))
    }

    /// Brings the artifacts beside an image that is there, where both stores keep such. They get their tags beside the
    /// name of the entry and those of `also`. Returns how many the target lacked.
    pub fn sync_referrers(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u32, Error> {
        self.retrying(|pair| pair.sync_referrers(entry, also))
    }

    /// The bytes that crossed connections until now.
    pub fn traffic(&self) -> Traffic {
        let ends = [&self.source].into_iter().chain(&self.targets).map(End::traffic);
        ends.fold(self.lost, Traffic::plus)
    }
}

/// Further tries where an image goes before it has its name: podman leaves a moment for a prune, which a busy machine
/// makes longer.
const REMOVED: usize = 3;

/// The request that opens a store.
fn open(store: &str, options: &Options) -> Open {
    let folder = options.tmpfolder.as_ref().map(|path| path.to_string_lossy().into_owned());
    Open {
        store: store.into(),
        tmpfolder: folder.unwrap_or_default(),
        platform: options.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
        memory: options.memory,
        timeout: options.timeout.map_or(0, |timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)),
        engine_timeout: options
            .engine_timeout
            .map_or(0, |most| u32::try_from(most.as_secs()).unwrap_or(u32::MAX)),
        password: None,
    }
}

/// The source and one target of a run.
struct Pair<'a> {
    source: &'a mut End,
    target: &'a mut End,
    options: &'a Options,
    observer: &'a Arc<Watch>,
}

impl Pair<'_> {
    /// The status of images at the target: of all with a name, or of those that are selected.
    fn report(&mut self, selection: &[String]) -> Result<Report, Error> {
        let usage = |message| failed(&Host::Here, FailureKind::Usage, message);
        let selectors: Vec<Selector> =
            selection.iter().map(|text| Selector::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
        listing(&**self.observer, self.source);
        let patterns = selectors.iter().map(|selector| selector.as_str().to_owned()).collect();
        let list = Request::List { patterns };
        let Reply::Images { images: listed, unreadable, names } = self.source.ask(&list)? else {
            return Err(self.source.out_of_turn("a list of images"));
        };
        let host = self.source.host.clone();
        let count = listed.len() + unreadable.len();
        if self.source.is_remote() && count > limits::IMAGES {
            let what = format!("it lists {count} images: {} are the most", limits::IMAGES);
            return Err(Error::Protocol { end: host.to_string(), what });
        }
        let bad = |error| Error::Endpoint { host: host.clone(), failure: Failure::from(error) };
        let images = listed.into_iter().map(|listed| from_wire(&listed).map(words::of_image));
        let images: Vec<Image> = images.collect::<Result<_, _>>().map_err(bad)?;
        let unreadable = unreadable.iter().map(|u| unreadable_from_wire(u).map(words::of_unreadable));
        let unreadable: Vec<Unreadable> = unreadable.collect::<Result<_, _>>().map_err(bad)?;
        let (names, keeps_manifests) = (words::of_names(names), self.source.store.has_packages);
        let mut chosen = chosen::choose(&selectors, images, &unreadable, &names, keeps_manifests)?;
        chosen::check_pins(&chosen, &host, self.source.store.id_is_config)?;
        if self.source.is_remote() {
            for unproven in chosen::unproven(&selectors, &chosen) {
                self.observer.event(Event::Warning(&unproven));
            }
        }
        listing(&**self.observer, self.target);
        let mut surveys = self.survey(&chosen)?;
        let is_open = |at: &usize| surveys[*at].open && chosen[*at].image.config.is_none();
        let open: Vec<usize> = (0..surveys.len()).filter(is_open).collect();
        if !open.is_empty() {
            let ids: Vec<ImageId> = open.iter().map(|at| chosen[*at].image.id).collect();
            for (at, config) in open.iter().zip(self.configs(&ids)?) {
                chosen[*at].image.config = config;
            }
            let again: Vec<Chosen> = open.iter().map(|at| chosen[*at].clone()).collect();
            for (at, survey) in open.iter().zip(self.survey(&again)?) {
                surveys[*at] = survey;
            }
        }
        let entries = chosen::entries(chosen, surveys)
            .ok_or_else(|| self.target.out_of_turn("a survey of every layer"))?;
        Ok(Report {
            source: self.source.store.store.clone(),
            target: self.target.store.store.clone(),
            entries,
            unreadable,
        })
    }

    /// The survey of these images at the target, one by one.
    fn survey(&mut self, chosen: &[Chosen]) -> Result<Vec<Survey>, Error> {
        let images: Vec<ListedImage> = chosen
            .iter()
            .map(|Chosen { image, names, .. }| {
                let names = names.iter().flatten().map(ToString::to_string).collect();
                ListedImage { names, ..to_wire(image) }
            })
            .collect();
        // Of one platform of several the ID is another.
        let exact = self.exact() && self.options.platform.is_none();
        match self.target.ask(&Request::Survey { images, exact })? {
            Reply::Surveyed(surveys) if surveys.len() == chosen.len() => {
                Ok(surveys.into_iter().map(words::of_survey).collect())
            }
            _ => Err(self.target.out_of_turn("a survey of every image")),
        }
    }

    /// The digests of the configs of these images of the source.
    fn configs(&mut self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, Error> {
        let images = ids.iter().map(|id| *id.as_bytes()).collect();
        match self.source.ask(&Request::Configs { images })? {
            Reply::Configs(configs) if configs.len() == ids.len() => {
                Ok(configs.into_iter().map(|config| config.map(Digest::from_bytes)).collect())
            }
            _ => Err(self.source.out_of_turn("the digests of configs")),
        }
    }

    /// Brings the artifacts beside an image that is there. Returns how many the target lacked.
    fn sync_referrers(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u32, Error> {
        if self.options.referrers == Referrers::Left || self.keeps_no_referrers().is_some() {
            return Ok(0);
        }
        let image = *entry.image.id.as_bytes();
        let names = entry.name.iter().chain(also).map(ToString::to_string).collect();
        let (send, receive) = (Request::SendReferrers { image }, Request::ReceiveReferrers { image, names });
        match self.exchange(&send, &receive)? {
            (Reply::Referrers { .. }, Reply::Referrers { count }, _) => Ok(count),
            (Reply::Referrers { .. }, ..) => Err(self.target.out_of_turn("referrers")),
            _ => Err(self.source.out_of_turn("referrers")),
        }
    }

    /// The reason why artifacts beside images cannot cross, if there is one.
    fn keeps_no_referrers(&self) -> Option<String> {
        let ends = [&*self.source, &*self.target];
        match ends.into_iter().find(|end| !end.store.keeps_referrers) {
            Some(End { host, store, .. }) => Some(format!(
                "{} on {host} keeps no signatures and attestations beside images; a containerd or an OCI layout does",
                store.store
            )),
            // Of one platform of several the ID is another than that of what is signed.
            None if self.preserved() != Preserved::Id => Some(
                "what is signed is the image's ID, which stays with --identity exact and without --platform"
                    .into(),
            ),
            None => None,
        }
    }

    /// Brings one image over, or finds out what that would cost. It gets the names `also`, beside that of the entry.
    fn sync(&mut self, entry: &Entry, also: &[ImageRef], dry_run: bool) -> Result<Outcome, Error> {
        if let (Referrers::Required, Some(reason)) = (self.options.referrers, self.keeps_no_referrers()) {
            return Err(failed(&Host::Here, FailureKind::Usage, reason));
        }
        let entry = &Entry { image: self.with_config(&entry.image)?, ..entry.clone() };
        let label = entry.label();
        if self.options.interrupt.happened() {
            return Err(Error::Interrupted);
        }
        self.observer.event(Event::Image { name: &label, image: &entry.image });
        let observer = Arc::clone(self.observer);
        // By rsync or as a stream layers go whole.
        let first = Attempt::new(self.source.is_agentless() || self.target.is_agentless());
        let mut transfer = |attempt| self.transfer(entry, also, dry_run, attempt);
        let mut result = transfer(first);
        // Little crosses again, as all that arrived is kept.
        for _ in 0..REMOVED {
            match &result {
                Err(Error::Endpoint { failure, .. }) if failure.kind == FailureKind::Changed => {
                    observer
                        .event(Event::Warning("an image was removed from the target meanwhile; once more"));
                    result = transfer(first);
                }
                _ => break,
            }
        }
        match result {
            Err(Error::Endpoint { failure, .. })
                if failure.kind == FailureKind::Mismatch && first == Attempt::Delta =>
            {
                observer.event(Event::Warning(
                    "a layer could not be rebuilt from what both sides have; sending the layers again without a basis",
                ));
                failure.causes.iter().for_each(|cause| observer.event(Event::Note(cause)));
                transfer(Attempt::FullResend)
            }
            result => result,
        }
    }

    /// The image with the digest of its config, which its source may have to be asked for.
    fn with_config(&mut self, image: &Image) -> Result<Image, Error> {
        let config = match image.config {
            Some(config) => Some(config),
            None => self.configs(&[image.id])?.into_iter().next().flatten(),
        };
        let failed = |kind, cause| failed(&self.source.host, kind, cause);
        let untold =
            || failed(FailureKind::Broken, format!("the source does not tell the config of {}", image.id));
        let config = config.ok_or_else(untold)?;
        if self.ids_are_configs() && config.as_bytes() != image.id.as_bytes() {
            let cause = format!("the source gives the config {config} for {}", image.id);
            return Err(failed(FailureKind::AnotherImage, cause));
        }
        Ok(Image { config: Some(config), ..image.clone() })
    }

    /// True where an image has the same ID on both sides, since that is the digest of its config.
    fn ids_are_configs(&self) -> bool {
        self.source.store.id_is_config && self.target.store.id_is_config
    }

    /// Has the target read the image again, which must be there under its name and those of `also`, and check every
    /// byte. Returns how many bytes it read.
    fn verify(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u64, Error> {
        let names = entry.name.iter().chain(also).map(ToString::to_string).collect();
        let image = ListedImage { names, ..to_wire(&self.with_config(&entry.image)?) };
        match self.target.ask(&Request::Verify { image })? {
            Reply::Verified { bytes } => Ok(bytes),
            _ => Err(self.target.out_of_turn("a proof")),
        }
    }

    fn transfer(
        &mut self,
        entry: &Entry,
        also: &[ImageRef],
        dry_run: bool,
        attempt: Attempt,
    ) -> Result<Outcome, Error> {
        let before = self.traffic();
        let exact = self.exact();
        let prove = needs_proof(&self.preserved(), entry.pin, self.source.store.id_is_config);
        let key = random().map_err(Error::io("there is no randomness"))?;
        let receive = Request::Receive(Receive {
            image: to_wire(&entry.image),
            names: entry.name.iter().chain(also).map(ToString::to_string).collect(),
            basis: self.options.basis.as_ref().map(ToString::to_string).unwrap_or_default(),
            without_basis: attempt.is_without_basis(),
            dry_run,
            exact,
            prove,
            key,
        });
        let send = Request::Send {
            image: *entry.image.id.as_bytes(),
            compression: self.options.compression,
            speed: self.source.speed().or_else(|| self.target.speed()),
            dry_run,
            explain: self.options.explain,
            exact,
            prove,
            key,
        };
        let (sent, received, speed) = self.exchange(&send, &receive)?;
        if let Some(speed) = speed.get() {
            self.source.remember_speed(speed);
            self.target.remember_speed(speed);
        }
        let outcome = self.outcome(entry, sent, received)?;
        let after = self.traffic();
        let traffic = after.minus(before);
        Ok(Outcome { traffic, ..outcome })
    }

    /// Has source and target talk, until both have replied.
    fn exchange(&mut self, send: &Request, receive: &Request) -> Result<(Reply, Reply, Speed), Error> {
        // The remote first: where it cannot be told, the end of this host must not wait for it.
        if self.source.is_remote() {
            self.source.tell(send)?;
            self.target.tell(receive)?;
        } else {
            self.target.tell(receive)?;
            self.source.tell(send)?;
        }
        let (source, target) = (&mut *self.source, &mut *self.target);
        let relay::Relayed { sent, received, speed } =
            relay::both(source.side(), target.side(), &**self.observer);
        let (sent, received) = self.both_replies(sent, received)?;
        Ok((sent, received, speed))
    }

    /// The outcome of a transfer by the replies of both ends, but for its traffic.
    fn outcome(&self, entry: &Entry, sent: Reply, received: Reply) -> Result<Outcome, Error> {
        let Reply::Sent { raw, packed, metadata, mut costs } = sent else {
            return Err(self.source.out_of_turn("an account"));
        };
        costs.truncate(limits::COSTS);
        let Reply::Received(Received { id, layers, was_there, packed_again }) = received else {
            return Err(self.target.out_of_turn("an image"));
        };
        let id = ImageId::from_bytes(id);
        let same_id = self.ids_are_configs() || self.preserved() == Preserved::Id;
        if same_id && id != entry.image.id {
            let cause = format!("the target made image {id} of image {}", entry.image.id);
            return Err(failed(&self.target.host, FailureKind::AnotherImage, cause));
        }
        let traffic = Traffic::default();
        Ok(Outcome { id, was_there, layers, packed_again, raw, packed, metadata, costs, traffic })
    }

    /// True if the image is to have the source's ID, where that is more than its content.
    fn exact(&self) -> bool {
        let packages = self.source.store.has_packages && self.target.store.has_packages;
        packages && self.options.identity == Identity::Exact
    }

    fn preserved(&self) -> Preserved {
        Preserved::new(self.exact(), self.options.platform.as_ref())
    }

    fn traffic(&self) -> Traffic {
        self.source.traffic().plus(self.target.traffic())
    }

    /// Both replies, or the failure that came first: not the one of an end that was told to give up.
    fn both_replies(
        &mut self,
        sent: io::Result<Reply>,
        received: io::Result<Reply>,
    ) -> Result<(Reply, Reply), Error> {
        let sent = self.source.check(sent);
        let received = self.target.check(received);
        match (sent, received) {
            (Ok(sent), Ok(received)) => Ok((sent, received)),
            (Err(lost @ (Error::Lost { .. } | Error::Silent { .. })), _)
            | (_, Err(lost @ (Error::Lost { .. } | Error::Silent { .. }))) => Err(lost),
            (Err(error), Err(other)) if error.failure_kind() == Some(FailureKind::Aborted) => Err(other),
            // An end of this host gives up only where the other one has told it to.
            (Ok(_), Err(error)) | (Err(error), Ok(_))
                if error.failure_kind() == Some(FailureKind::Aborted) =>
            {
                let ends = [&self.source, &self.target];
                let end = ends.iter().find(|end| end.is_remote()).map(|end| end.host.to_string());
                let what = "it says that it is done before it is".into();
                Err(Error::Protocol { end: end.unwrap_or_default(), what })
            }
            // A remote may say anything, and so hide what this host has found out about it.
            (
                Err(Error::Endpoint { host: Host::Remote(_), .. }),
                Err(here @ Error::Endpoint { host: Host::Here, .. }),
            ) if here.failure_kind() != Some(FailureKind::Aborted) => Err(here),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// Says whose images are listed next.
fn listing(observer: &dyn Observer, end: &End) {
    let host = end.host.to_string();
    observer.event(Event::Listing { store: &end.store.store, host: &host });
}

fn failed(host: &Host, kind: FailureKind, cause: String) -> Error {
    Error::Endpoint { host: host.clone(), failure: Failure { kind, causes: vec![cause] } }
}

/// True where the source has to prove that the config belongs to the ID.
///
/// It is seen without if the ID is the digest of the config, or if the target makes all that the ID is made of. An index
/// has several configs, though, and the manifest of one platform is known by nothing but the index.
fn needs_proof(preserved: &Preserved, pin: Pin, id_is_config: bool) -> bool {
    let is_open = match preserved {
        Preserved::Content => pin != Pin::None,
        Preserved::Id => pin == Pin::Config,
        Preserved::Manifest(_) => true,
    };
    is_open && !id_is_config
}

/// A key that nobody can guess.
fn random() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod proof_tests {
    use super::*;

    #[test]
    fn a_proof_is_asked_for_where_nothing_else_shows_that_the_config_is_right() {
        let manifest = || Preserved::Manifest("linux/amd64".parse().unwrap());
        for (pin, content, id, one_platform) in [
            (Pin::None, false, false, true),
            (Pin::Registry, true, false, true),
            (Pin::Config, true, true, true),
            (Pin::Id, true, false, true),
        ] {
            let asked = [Preserved::Content, Preserved::Id, manifest()]
                .map(|preserved| needs_proof(&preserved, pin, false));
            assert_eq!(asked, [content, id, one_platform], "{pin:?}");
        }
        assert!(!needs_proof(&manifest(), Pin::Id, true), "the ID is the digest of the config");
    }
}
#[cfg(test)]
mod relay_tests;
#[cfg(test)]
mod tests;
