//! The target's side of one image: say what is needed, find what is here already, build, verify, tag.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;
use std::thread;

use dsync_core::{Config, DiffId, Image, ImageRef};
use dsync_delta::{ContentSource, Contents, JoinError, Limits, Piece, Skeleton, Wanted, join, skeleton};
use dsync_engine::{Import, Store};
use dsync_proto::{Event, Layer, LayerState, Need, Offer, Peer, Phase, Received, Reply, Reuse};

use crate::assess;
use crate::failure::EndpointError;
use crate::link::Link;
use crate::own::Own;
use crate::spool::copy_at;

/// The most that a source may claim: more is refused before it costs anything.
const LIMITS: Limits = Limits { len: 1 << 44, pairs: 1 << 22, verbatim: 1 << 44 };
/// The most layers in an image; engines stop at 127.
const MAX_LAYERS: usize = 4096;

const LOST: &str = "the source did not send what it offered";

/// What to take, checked.
pub(crate) struct Receiving {
    pub(crate) image: Image,
    pub(crate) names: Vec<ImageRef>,
    pub(crate) basis: Option<ImageRef>,
    pub(crate) whole: bool,
    pub(crate) dry_run: bool,
}

/// Takes an image from the source at the other end of the link.
pub(crate) fn receive(
    store: &dyn Store,
    link: &mut Link,
    what: &Receiving,
    folder: &Path,
) -> Result<Reply, EndpointError> {
    let held = store.list()?;
    let image = &what.image;
    if image.diff_ids.len() > MAX_LAYERS {
        return Err(EndpointError::Usage(format!("an image of {} layers is refused", image.diff_ids.len())));
    }
    if let Some(there) = held.iter().find(|other| other.same_content(image)) {
        link.send_peer(&Peer::Need(Need::Nothing)).map_err(EndpointError::io(LOST))?;
        if !what.dry_run {
            store.tag(&there.id, &what.names)?;
        }
        let shared = Layer { state: LayerState::Shared, len: 0, reused: 0 };
        let layers = vec![shared; image.diff_ids.len()];
        return Ok(Reply::Received(Received { id: *there.id.as_bytes(), layers, was_there: true }));
    }

    let mut states = assess::layers(store, &held, image);
    if what.whole {
        // What this side has in another chain is not looked for either.
        let missing = |state: &mut LayerState| {
            if *state == LayerState::Local {
                *state = LayerState::Missing
            }
        };
        states.iter_mut().for_each(missing);
    }
    let of_state = |state| distinct(&image.diff_ids, &states, state);
    let (missing, local) = (of_state(LayerState::Missing), of_state(LayerState::Local));
    let basis = if what.whole || missing.is_empty() { Vec::new() } else { choose_basis(&held, what)? };
    let reuse = match (what.whole, basis.is_empty()) {
        (true, _) => Reuse::Nothing,
        (false, true) => Reuse::Sent,
        (false, false) => Reuse::Target,
    };
    let need = Need::Layers { diff_ids: missing.iter().map(|id| *id.as_bytes()).collect(), reuse };
    link.send_peer(&Peer::Need(need)).map_err(EndpointError::io(LOST))?;

    // Both sides read their engines at the same time.
    let (own, offered) = thread::scope(|scope| {
        let reading = scope.spawn(|| Own::read(store, folder, &held, &basis, image, &local));
        let offered = await_offer(link, folder, &missing);
        (reading.join(), offered)
    });
    let mut own =
        own.unwrap_or_else(|_| Err(EndpointError::Broken("the reader of the basis ended early".into())))?;
    let offered = offered?;
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
    check_config(&offered.config, image)?;

    let contents = Contents::of(&offered.skeletons);
    let wanted = match offered.reuse {
        Reuse::Target => {
            let wanted = contents.wanted(|content| !own.has(content));
            link.send_peer(&Peer::Want { bitmap: wanted.to_bytes() }).map_err(EndpointError::io(LOST))?;
            wanted
        }
        Reuse::Sent | Reuse::Nothing => contents.wanted(|_| true),
    };
    let layers = summary(image, &states, &own, &offered.skeletons, &contents, &wanted);
    if what.dry_run {
        return Ok(Reply::Received(Received { id: *image.id.as_bytes(), layers, was_there: false }));
    }

    let reused = contents.iter().enumerate().filter(|(ordinal, _)| !wanted.contains(*ordinal));
    own.fetch(store, &basis, reused.map(|(_, content)| content))?;

    let id = {
        let kept =
            tempfile::tempfile_in(folder).map_err(EndpointError::io("cannot make a temporary file"))?;
        let stream = link.data_reader();
        let stream = zstd::Decoder::new(stream).map_err(EndpointError::io(LOST))?;
        let mut arrivals = Arrivals {
            own: &own,
            contents: &contents,
            wanted: &wanted,
            stream,
            kept,
            kept_len: 0,
            places: HashMap::new(),
        };
        let mut import = store.import()?;
        let mut done = HashSet::new();
        for (diff_id, state) in image.diff_ids.iter().zip(&states) {
            if *state == LayerState::Shared || !done.insert(diff_id) {
                continue;
            }
            match offered.layer(diff_id) {
                None => copy_own(&own, diff_id, &mut *import)?,
                Some((skeleton, at)) => build(skeleton, &offered.verbatim, at, &mut arrivals, &mut *import)?,
            }
        }
        arrivals.stream.finish().into_inner().finish().map_err(EndpointError::io(LOST))?;
        link.outbox.event(&Event::Phase(Phase::Load));
        import.commit(&offered.config)?
    };
    store.tag(&id, &what.names)?;
    Ok(Reply::Received(Received { id: *id.as_bytes(), layers, was_there: false }))
}

fn distinct(diff_ids: &[DiffId], states: &[LayerState], state: LayerState) -> Vec<DiffId> {
    let mut seen = HashSet::new();
    let of_state = diff_ids.iter().zip(states).filter(|(_, s)| **s == state).map(|(id, _)| *id);
    of_state.filter(|id| seen.insert(*id)).collect()
}

fn choose_basis<'a>(held: &'a [Image], what: &Receiving) -> Result<Vec<&'a Image>, EndpointError> {
    match &what.basis {
        None => Ok(assess::basis(held, &what.image, &what.names)),
        Some(name) => {
            let named = held.iter().find(|image| image.is_named(name));
            let named = named.ok_or_else(|| {
                EndpointError::Usage(format!("the target has no image {name} to use as the basis"))
            })?;
            Ok(vec![named])
        }
    }
}

/// What a source offered, as far as it came with the skeletons.
struct Offered {
    config: Vec<u8>,
    reuse: Reuse,
    skeletons: Vec<Skeleton>,
    /// All verbatim bytes, in a temporary file.
    verbatim: File,
    /// Where each skeleton's begin.
    starts: Vec<u64>,
}

impl Offered {
    fn layer(&self, diff_id: &DiffId) -> Option<(&Skeleton, u64)> {
        let at = self.skeletons.iter().position(|skeleton| skeleton.diff_id == *diff_id)?;
        Some((&self.skeletons[at], self.starts[at]))
    }
}

fn await_offer(link: &mut Link, folder: &Path, missing: &[DiffId]) -> Result<Offered, EndpointError> {
    let Offer { config, layers, reuse } = match link.expect_peer().map_err(EndpointError::io(LOST))? {
        Peer::Offer(offer) => offer,
        _ => return Err(EndpointError::Usage(LOST.into())),
    };
    if usize::try_from(layers).ok() != Some(missing.len()) {
        return Err(EndpointError::Broken(format!(
            "the source offers {layers} layers instead of {}",
            missing.len()
        )));
    }
    let verbatim =
        tempfile::tempfile_in(folder).map_err(EndpointError::io("cannot make a temporary file"))?;
    let mut out = io::BufWriter::new(&verbatim);
    let stream = zstd::Decoder::new(link.data_reader()).map_err(EndpointError::io(LOST))?;
    let mut stream = BufReader::new(stream);
    let (mut skeletons, mut starts, mut next) = (Vec::new(), Vec::new(), 0);
    for diff_id in missing {
        let skeleton = skeleton::decode(&mut stream, &LIMITS, &mut out)?;
        if skeleton.diff_id != *diff_id {
            return Err(EndpointError::Broken(format!(
                "the source offers layer {} instead of {diff_id}",
                skeleton.diff_id
            )));
        }
        starts.push(next);
        next += skeleton
            .segments
            .iter()
            .map(|piece| if let Piece::Verbatim { len } = piece { *len } else { 0 })
            .sum::<u64>();
        skeletons.push(skeleton);
    }
    out.flush().map_err(EndpointError::io("cannot write a temporary file"))?;
    drop(out);
    stream.into_inner().finish().into_inner().finish().map_err(EndpointError::io(LOST))?;
    Ok(Offered { config, reuse, skeletons, verbatim, starts })
}

/// The config must be of the very layers that the image was listed with: they are what gets built.
fn check_config(bytes: &[u8], image: &Image) -> Result<(), EndpointError> {
    let config = Config::parse(bytes)
        .map_err(|error| EndpointError::Broken(format!("the source sent a bad config: {error}")))?;
    if config.diff_ids != image.diff_ids {
        return Err(EndpointError::Broken("the source sent the config of another image".into()));
    }
    Ok(())
}

fn summary(
    image: &Image,
    states: &[LayerState],
    own: &Own,
    skeletons: &[Skeleton],
    contents: &Contents,
    wanted: &Wanted,
) -> Vec<Layer> {
    let mut seen: HashSet<DiffId> = HashSet::new();
    let layer = |(diff_id, &state): (&DiffId, &LayerState)| {
        if !seen.insert(*diff_id) {
            return Layer { state, len: 0, reused: 0 };
        }
        let skeleton = skeletons.iter().find(|skeleton| skeleton.diff_id == *diff_id);
        match (state, skeleton, own.layer(diff_id)) {
            (LayerState::Missing, Some(skeleton), _) => {
                let known = |(short, len): &(u64, u64)| {
                    contents.ordinal(*short, *len).is_some_and(|ordinal| !wanted.contains(ordinal))
                };
                let reused = skeleton.contents().filter(known).map(|(_, len)| len).sum();
                Layer { state, len: skeleton.len, reused }
            }
            (LayerState::Local, _, Some(spooled)) => {
                Layer { state, len: spooled.layout.len, reused: spooled.layout.len }
            }
            _ => Layer { state, len: 0, reused: 0 },
        }
    };
    image.diff_ids.iter().zip(states).map(layer).collect()
}

fn copy_own(own: &Own, diff_id: &DiffId, import: &mut dyn Import) -> Result<(), EndpointError> {
    let layer =
        own.layer(diff_id).ok_or_else(|| EndpointError::Broken(format!("layer {diff_id} is gone")))?;
    Ok(import.layer(diff_id, layer.layout.len, &mut |out| own.copy_layer(layer, out))?)
}

fn build(
    skeleton: &Skeleton,
    mut verbatim: &File,
    at: u64,
    arrivals: &mut Arrivals<'_, impl io::BufRead>,
    import: &mut dyn Import,
) -> Result<(), EndpointError> {
    verbatim.seek(io::SeekFrom::Start(at)).map_err(EndpointError::io("cannot read a temporary file"))?;
    let mut headers = BufReader::with_capacity(64 << 10, verbatim);
    // The store only sees that its writer failed; why is kept here.
    let mut failed: Option<JoinError> = None;
    let result = import.layer(&skeleton.diff_id, skeleton.len, &mut |out| {
        join(skeleton, &mut headers, arrivals, out).map_err(|error| {
            failed = Some(error);
            io::Error::other("the layer could not be built")
        })
    });
    match (result, failed) {
        // The engine going away shows as a broken pipe; its own words say more.
        (Err(error), Some(JoinError::Write(pipe) | JoinError::Content { source: pipe, .. }))
            if pipe.kind() == io::ErrorKind::BrokenPipe =>
        {
            Err(error.into())
        }
        (_, Some(error)) => Err(EndpointError::Join(error)),
        (result, None) => Ok(result?),
    }
}

/// Contents from this side's own layers, and from the stream in the order of first use.
struct Arrivals<'a, R: io::BufRead> {
    own: &'a Own,
    contents: &'a Contents,
    wanted: &'a Wanted,
    stream: zstd::Decoder<'static, R>,
    /// Arrived contents that are used again, and where in it each lies.
    kept: File,
    kept_len: u64,
    places: HashMap<usize, u64>,
}

impl<R: io::BufRead> ContentSource for Arrivals<'_, R> {
    fn copy(&mut self, short: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        let lost = || io::Error::other("a content is neither here nor on its way");
        let ordinal = self.contents.ordinal(short, len).ok_or_else(lost)?;
        if !self.wanted.contains(ordinal) {
            return self.own.copy(short, len, out);
        }
        if let Some(&at) = self.places.get(&ordinal) {
            return copy_at(&self.kept, at, len, out);
        }
        let uses = self.contents.get(ordinal).map_or(1, |content| content.uses);
        let mut arriving = (&mut self.stream).take(len);
        let copied = if uses > 1 {
            self.places.insert(ordinal, self.kept_len);
            self.kept_len += len;
            io::copy(&mut arriving, &mut Tee { out, kept: &self.kept })?
        } else {
            io::copy(&mut arriving, out)?
        };
        if copied < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

struct Tee<'a> {
    out: &'a mut dyn Write,
    kept: &'a File,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.write_all(bytes)?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
