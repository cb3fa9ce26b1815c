//! One end of every sync, source or target: answers requests about the store of its host.
//!
//! The same code runs as the agent on the remote host and in a thread of the client.

pub(crate) mod examine;
mod patience;
mod referrers;
mod verify;

use std::io;
use std::path::Path;
use std::time::Duration;

use dsync_core::{Image, ImageId, ImageRef, Inventory, Password, Platform, Unreadable};
use dsync_engine::{EngineHost, IdOf, Store, StoreSpec, Sudo, temporary};
use dsync_proto::{
    Event, Failure, FailureKind, Holder, Open, Opened, Peer, Phase, Receive, Reply, Request, Survey,
};

use crate::conversation::{Attempt, Preserved};
use crate::convert::{from_wire, names_from_wire, to_wire, unreadable_to_wire};
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::inventory::nested::{Pinned, with_nested};
use crate::inventory::select::Selector;
use crate::inventory::survey::{self, SameBy};
use crate::layers::workspace::Workspace;
use crate::link::Link;
use crate::source::{self, Sending};
use crate::target::{self, Peering, Receiving};
use patience::{PACE, Patience};

/// Opens a store by what `--docker` says; its temporary files go to this folder, and a `sudo` gets its password so.
pub(crate) type Opener = dyn Fn(&str, &Path, &Sudo) -> Result<Box<dyn Store>, EndpointError> + Send;

/// The host that an endpoint is on.
pub(crate) struct Site<'a> {
    /// The version of the program.
    pub(crate) version: &'a str,
    /// Opens its stores.
    pub(crate) opener: &'a Opener,
    /// The folder that the index cache is in; the environment names one otherwise.
    pub(crate) caches: Option<&'a Path>,
    /// True if this process stands in for another host, on which no agent runs.
    pub(crate) stands_in: bool,
    /// The way in which a `sudo` gets a password that did not come with the request.
    pub(crate) sudo: Sudo,
    /// Ends what is done here.
    pub(crate) interrupt: Interrupt,
}

impl<'a> Site<'a> {
    /// This host, as its environment describes it.
    pub(crate) fn here(version: &'a str, interrupt: &Interrupt) -> Site<'a> {
        let interrupt = interrupt.clone();
        Site { version, opener: &open_by, caches: None, stands_in: false, sudo: Sudo::Asks, interrupt }
    }

    /// This host, where no person is.
    pub(crate) fn distant(version: &'a str, interrupt: &Interrupt) -> Site<'a> {
        Site { sudo: Sudo::Silent, ..Site::here(version, interrupt) }
    }
}

/// Opens a store of this host by what `--docker` says; its temporary files go to this folder.
pub(crate) fn open_here(spec: &str, folder: &Path) -> Result<Box<dyn Store>, EndpointError> {
    open_by(spec, folder, &Sudo::Asks)
}

/// The same where a `sudo` gets its password in this way.
fn open_by(spec: &str, folder: &Path, sudo: &Sudo) -> Result<Box<dyn Store>, EndpointError> {
    let spec: StoreSpec = spec.parse().map_err(|error| EndpointError::Usage(format!("{error}")))?;
    Ok(dsync_engine::open_by(&spec, folder, sudo)?)
}

/// The names of this host's images, in a store as `--docker` takes it. No person is asked for a password.
pub fn names_of_this_host(spec: &str) -> Result<Vec<ImageRef>, Failure> {
    let images = || Ok(open_by(spec, &std::env::temp_dir(), &Sudo::Silent)?.list()?.images);
    let images = images().map_err(|error: EndpointError| Failure::from(error))?;
    let mut names: Vec<ImageRef> = images.into_iter().flat_map(|image| image.names).collect();
    names.sort_unstable();
    Ok(names)
}

/// Answers requests until the client goes away.
pub(crate) fn serve(mut link: Link, site: &Site<'_>) -> io::Result<()> {
    let mut endpoint: Option<Endpoint> = None;
    let mut patience = None;
    loop {
        let request = match link.next_request() {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let moves = matches!(
            request,
            Request::Send { .. }
                | Request::Receive(_)
                | Request::SendReferrers { .. }
                | Request::ReceiveReferrers { .. }
        );
        if let Request::Open(open) = &request {
            link.set_timeout(timeout(open));
            let limit =
                Some(Duration::from_secs(open.engine_timeout.into())).filter(|limit| !limit.is_zero());
            // One that was there is over before.
            drop(patience.take());
            let engines = if site.stands_in { EngineHost::Other } else { EngineHost::This };
            patience = Some(Patience::new(link.outbox.clone(), engines, limit, PACE));
        }
        let reply = match (request, &endpoint) {
            (Request::Open(open), _) => Endpoint::open(&open, site).map(|opened| {
                let reply = opened.introduce(site.version);
                endpoint = Some(opened);
                reply
            }),
            (Request::Examine { tmpfolder, probe, wanted }, endpoint) => {
                examined(&tmpfolder, probe.len(), wanted, endpoint.as_ref(), site)
            }
            (_, None) => Err(EndpointError::Protocol("a request came before a store was opened".into())),
            (request, Some(endpoint)) => endpoint.answer(request, &mut link),
        };
        if site.interrupt.happened() {
            // It failed for that reason, and whoever ends this end says why.
            return Ok(());
        }
        let reply = reply.unwrap_or_else(|error| {
            let failure = if site.stands_in { error.of_who_stands_in() } else { error.into() };
            if moves && failure.kind != FailureKind::Aborted {
                // The other side may be gone; then it needs no telling.
                link.send_peer(&Peer::Abort).ok();
            }
            Reply::Failed(failure)
        });
        link.outbox.reply(&reply)?;
    }
}

/// The longest silence of either end of the connection.
fn timeout(open: &Open) -> Option<Duration> {
    Some(Duration::from_millis(open.timeout.into())).filter(|timeout| !timeout.is_zero())
}

/// Describes the host. Where this process stands in for another host, it can say nothing of that.
fn examined(
    folder: &str,
    probe: usize,
    wanted: u32,
    endpoint: Option<&Endpoint>,
    site: &Site<'_>,
) -> Result<Reply, EndpointError> {
    if site.stands_in {
        return Err(EndpointError::Unsupported("no agent runs there that could look around".into()));
    }
    let workspace = match endpoint {
        Some(endpoint) => endpoint.workspace.clone(),
        None => Workspace {
            caches: site.caches.map(Path::to_owned),
            ..Workspace::new(folder, 0, &site.interrupt)?
        },
    };
    let store = endpoint.map(|endpoint| &*endpoint.store);
    Ok(Reply::Examined(examine::examine(&workspace, store, probe, wanted)?))
}

/// An endpoint whose store is open.
struct Endpoint {
    store: Box<dyn Store>,
    workspace: Workspace,
    platform: Option<Platform>,
}

impl Endpoint {
    fn open(open: &Open, site: &Site<'_>) -> Result<Endpoint, EndpointError> {
        let workspace = Workspace {
            caches: site.caches.map(Path::to_owned),
            ..Workspace::new(&open.tmpfolder, open.memory, &site.interrupt)?
        };
        // Killed runs leave theirs to whoever looks next.
        temporary::sweep(&workspace.folder);
        let sudo = match &open.password {
            Some(password) => Sudo::Given(Password::new(password.reveal().to_owned())),
            None => site.sudo.clone(),
        };
        let mut store = (site.opener)(&open.store, &workspace.folder, &sudo)?;
        let platform = match &open.platform[..] {
            "" => None,
            text => Some(text.parse().map_err(EndpointError::Protocol)?),
        };
        if let Some(platform) = &platform {
            store.prefer(platform);
        }
        Ok(Endpoint { store, workspace, platform })
    }

    fn introduce(&self, version: &str) -> Reply {
        let description = self.store.describe();
        let id_is_config = description.kind.id_of() == IdOf::Config;
        let has_packages = self.store.has_packages();
        Reply::Opened(Opened {
            store: description.name,
            id_is_config,
            has_packages,
            keeps_referrers: self.store.keeps_referrers(),
            version: version.into(),
        })
    }

    fn answer(&self, request: Request, link: &mut Link) -> Result<Reply, EndpointError> {
        match request {
            Request::Open(_) | Request::Examine { .. } => {
                Err(EndpointError::Protocol("this needs no open store".into()))
            }
            Request::List { patterns } => self.list(&patterns),
            Request::Survey { images, exact } => {
                let same_by = if exact { SameBy::Id } else { SameBy::Content };
                self.survey(&images.iter().map(from_wire).collect::<Result<Vec<_>, _>>()?, same_by)
            }
            Request::Configs { images } => {
                let ids: Vec<ImageId> = images.into_iter().map(ImageId::from_bytes).collect();
                let configs = self.store.configs(&ids)?;
                Ok(Reply::Configs(configs.into_iter().map(|config| Some(*config?.as_bytes())).collect()))
            }
            Request::Send { image, compression, speed, dry_run, explain, exact, prove, key } => {
                let image = ImageId::from_bytes(image);
                let held = with_nested(&*self.store, [&image])?;
                let preserved = Preserved::new(exact, self.platform.as_ref());
                let key = Some(key);
                let how = Sending { compression, speed, dry_run, explain, preserved, prove, key };
                source::send(&*self.store, &held, link, &image, &how, &self.workspace)
            }
            Request::SendReferrers { image } => {
                let image = ImageId::from_bytes(image);
                referrers::send(&*self.store, link, &image, self.platform.as_ref())
            }
            Request::ReceiveReferrers { image, names } => {
                let (image, names) = (ImageId::from_bytes(image), names_from_wire(&names)?);
                referrers::receive(&*self.store, link, &image, &names, self.platform.as_ref())
            }
            Request::Verify { image } => {
                link.outbox.event(&Event::Phase(Phase::Verify));
                let bytes = verify::verify(
                    &*self.store,
                    self.store.list()?.images,
                    &from_wire(&image)?,
                    &self.workspace.interrupt,
                )?;
                Ok(Reply::Verified { bytes })
            }
            Request::Receive(Receive { image, names, basis, without_basis, dry_run, exact, prove, key }) => {
                let bad = |error: dsync_core::ReferenceError| EndpointError::Protocol(error.to_string());
                let receiving = Receiving {
                    image: from_wire(&image)?,
                    names: names_from_wire(&names)?,
                    basis: if basis.is_empty() { None } else { Some(basis.parse().map_err(bad)?) },
                    attempt: Attempt::new(without_basis),
                    dry_run,
                    preserved: Preserved::new(exact, self.platform.as_ref()),
                    prove,
                    peering: Peering::Live { key },
                };
                target::receive(&*self.store, link, &receiving, &self.workspace)
            }
        }
    }

    /// The images for the platform that was asked for, in the order of their names.
    fn ordered(&self, Inventory { mut images, unreadable }: Inventory) -> Inventory {
        if let Some(platform) = &self.platform {
            images.retain(|image| image.platform.satisfies(platform));
        }
        for image in &mut images {
            image.names.sort();
        }
        images.sort_by(|a, b| a.names.cmp(&b.names).then_with(|| a.id.cmp(&b.id)));
        Inventory { images, unreadable }
    }

    fn list(&self, patterns: &[String]) -> Result<Reply, EndpointError> {
        // Only a source is asked for a list.
        self.store.must_exist()?;
        let selectors: Vec<Selector> = patterns
            .iter()
            .map(|text| Selector::parse(text))
            .collect::<Result<_, _>>()
            .map_err(EndpointError::Usage)?;
        let inventory = self.store.list()?;
        let pinned = |selector| Pinned::find(&*self.store, selector, &inventory, self.platform.as_ref());
        let pinned: Vec<Option<Pinned>> = selectors.iter().map(pinned).collect::<Result<_, _>>()?;
        let unnamed = if selectors.is_empty() { self.store.unnamed(&inventory)? } else { Vec::new() };
        let Inventory { mut images, unreadable } = self.ordered(inventory);
        let fits =
            |image: &Image| self.platform.as_ref().is_none_or(|platform| image.platform.satisfies(platform));
        for Pinned { image, .. } in pinned.iter().flatten() {
            if fits(image) && images.iter().all(|other| other.id != image.id) {
                images.push(image.clone());
            }
        }
        let asked: Vec<(&Selector, Option<&Pinned>)> =
            selectors.iter().zip(pinned.iter().map(Option::as_ref)).collect();
        // The client says which image has the name, where that is not the one with the digest.
        let concerns = |(selector, pinned): &(&Selector, Option<&Pinned>), image: &Image| {
            let is_around = pinned.is_some_and(|pinned| pinned.is_within(image));
            selector.selects(image) || !is_around && selector.is_contradicted_by(image)
        };
        let is_unreadable = |(selector, pinned): &(&Selector, Option<&Pinned>), image: &Unreadable| {
            let is_around = pinned.is_some_and(|pinned| pinned.is_within_unreadable(image));
            !is_around && selector.selects_unreadable(image)
        };
        let all_match = asked.iter().all(|asked| {
            images.iter().any(|image| concerns(asked, image))
                || unreadable.iter().any(|image| is_unreadable(asked, image))
        });
        let names = if all_match {
            Vec::new()
        } else {
            images.iter().flat_map(|image| &image.names).map(ToString::to_string).collect()
        };
        let selected = images.iter().filter(|image| {
            if selectors.is_empty() {
                !image.names.is_empty() || unnamed.contains(&image.id)
            } else {
                asked.iter().any(|asked| concerns(asked, image))
            }
        });
        let kind = self.store.describe().kind;
        let unreadable = unreadable.iter().filter(|image| match selectors.is_empty() {
            true => !image.names.is_empty() || kind.is_files(),
            false => asked.iter().any(|asked| is_unreadable(asked, image)),
        });
        Ok(Reply::Images {
            images: selected.map(to_wire).collect(),
            unreadable: unreadable.map(unreadable_to_wire).collect(),
            names,
        })
    }

    fn survey(&self, images: &[Image], same_by: SameBy) -> Result<Reply, EndpointError> {
        let mut held = self.store.list()?.images;
        if same_by == SameBy::Content {
            survey::learn_configs(&*self.store, &mut held, images)?;
        }
        let held = held;
        // A run may have ended when the image had its name and its parts were not removed yet. Parts of other images may be
        // for another store of this host.
        let complete = held.iter().filter_map(|image| image.config);
        let complete = complete.filter(|config| images.iter().any(|image| image.config == Some(*config)));
        self.workspace.remove_complete(&complete.collect());
        let known = survey::Held::of(&*self.store, &held);
        let survey = |image: &Image| {
            let status = if image.names.is_empty() {
                vec![survey::status(&held, image, None, same_by)]
            } else {
                image.names.iter().map(|name| survey::status(&held, image, Some(name), same_by)).collect()
            };
            let holder = |name: &ImageRef| {
                let other = held.iter().find(|other| other.is_named(name))?;
                Some(Holder { id: *other.id.as_bytes(), created: other.created.clone() })
            };
            let holders = match &image.names[..] {
                [] => vec![None],
                names => names.iter().map(holder).collect(),
            };
            let basis = survey::basis(&held, image, &image.names);
            let label =
                |basis: &Image| basis.names.first().map_or_else(|| basis.id.to_string(), ToString::to_string);
            Survey {
                status,
                layers: known.states(image),
                basis: basis.into_iter().map(label).collect(),
                open: same_by == SameBy::Content && survey::is_open(&held, image),
                holders,
                foreign_to: self
                    .store
                    .cannot_run(&image.platform)
                    .map(|host| host.to_string())
                    .unwrap_or_default(),
            }
        };
        Ok(Reply::Surveyed(images.iter().map(survey).collect()))
    }
}

#[cfg(test)]
mod tests;
