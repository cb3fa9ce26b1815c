//! The source's side of one image: read what is needed, say what it is made of, send what is wanted.

use std::io::{self, Write};
use std::path::Path;

use dsync_core::{DiffId, ImageId};
use dsync_delta::{Contents, Layout, Segment, Wanted, skeleton};
use dsync_engine::Store;
use dsync_proto::{Event, Need, Offer, Peer, Phase, Reply, Reuse};

use crate::failure::EndpointError;
use crate::link::{DataWriter, Link};
use crate::progress::Progress;
use crate::spool::{Place, Spool, Spooled};

/// How a source sends.
pub(crate) struct Sending {
    /// The zstd level.
    pub(crate) level: i32,
    /// Count what would be sent, send no contents.
    pub(crate) dry_run: bool,
}

/// Gives an image to the target at the other end of the link.
pub(crate) fn send(
    store: &dyn Store,
    link: &mut Link,
    image: &ImageId,
    how: &Sending,
    folder: &Path,
) -> Result<Reply, EndpointError> {
    let Some((needed, reuse)) = await_need(link)? else { return Ok(Reply::Sent { raw: 0, packed: 0 }) };

    link.outbox.event(&Event::Phase(Phase::Scan));
    let mut spool = Spool::new(folder).map_err(EndpointError::io("cannot make a temporary file"))?;
    let wanted = spool.want(needed.iter().copied()).clone();
    let export = store.export(image, &wanted, &mut spool)?;
    spool.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
    let layers: Vec<&Spooled> = needed
        .iter()
        .map(|id| {
            spool.get(id).ok_or_else(|| EndpointError::Usage(format!("image {image} has no layer {id}")))
        })
        .collect::<Result<_, _>>()?;

    let (contents, reuse) = match Contents::of_layouts(layers.iter().map(|layer| &layer.layout)) {
        Ok(contents) if reuse != Reuse::Nothing => (contents, reuse),
        Ok(_) => (Contents::default(), Reuse::Nothing),
        Err(collision) => {
            link.outbox.event(&Event::Note(format!("{collision}; layers go whole")));
            (Contents::default(), Reuse::Nothing)
        }
    };
    let count = u32::try_from(layers.len()).map_err(|_| EndpointError::Usage("too many layers".into()))?;
    let offer = Offer { config: export.config, layers: count, reuse };
    link.send_peer(&Peer::Offer(offer)).map_err(EndpointError::io(LOST))?;
    send_skeletons(&spool, &layers, reuse, how.level, link).map_err(EndpointError::io(LOST))?;

    let wanted = match reuse {
        Reuse::Target => await_want(link, &contents)?,
        Reuse::Sent | Reuse::Nothing => contents.wanted(|_| true),
    };
    let chosen = places(&spool, &contents, &wanted)?;
    let raw = chosen.iter().map(|(_, len)| len).sum();
    link.outbox.event(&Event::Phase(Phase::Transfer));
    link.outbox.event(&Event::Total(raw));
    let out = if how.dry_run { None } else { Some(link.data_writer()) };
    let mut out = Counted { out, count: 0 };
    let mut packer = zstd::Encoder::new(&mut out, how.level).map_err(EndpointError::io(LOST))?;
    let mut progress = Progress::new(&link.outbox);
    for (at, len) in chosen {
        spool.copy(at, len, &mut packer).map_err(EndpointError::io(LOST))?;
        progress.advance(len);
    }
    packer.finish().map_err(EndpointError::io(LOST))?;
    progress.finish();
    let packed = out.count;
    if let Some(out) = out.out {
        out.finish().map_err(EndpointError::io(LOST))?;
    }
    Ok(Reply::Sent { raw, packed })
}

const LOST: &str = "cannot send to the target";

fn await_need(link: &mut Link) -> Result<Option<(Vec<DiffId>, Reuse)>, EndpointError> {
    const SILENT: &str = "the target did not say what it needs";
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Need(Need::Nothing) => Ok(None),
        Peer::Need(Need::Layers { diff_ids, reuse }) => {
            Ok(Some((diff_ids.into_iter().map(DiffId::from_bytes).collect(), reuse)))
        }
        _ => Err(EndpointError::Usage(SILENT.into())),
    }
}

fn await_want(link: &mut Link, contents: &Contents) -> Result<Wanted, EndpointError> {
    const SILENT: &str = "the target did not say what it wants";
    link.outbox.event(&Event::Phase(Phase::Basis));
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Want { bitmap } => Ok(Wanted::from_bytes(&bitmap, contents.len())?),
        _ => Err(EndpointError::Usage(SILENT.into())),
    }
}

fn send_skeletons(
    spool: &Spool,
    layers: &[&Spooled],
    reuse: Reuse,
    level: i32,
    link: &Link,
) -> io::Result<()> {
    let mut packer = zstd::Encoder::new(link.data_writer(), level)?;
    for layer in layers {
        if reuse == Reuse::Nothing {
            let Layout { diff_id, len, .. } = layer.layout;
            let whole = Spooled {
                at: layer.at,
                layout: Layout { diff_id, len, segments: vec![Segment::Verbatim { len }] },
            };
            skeleton::encode(&whole.layout, &mut spool.verbatim(&whole), &mut packer)?;
        } else {
            skeleton::encode(&layer.layout, &mut spool.verbatim(layer), &mut packer)?;
        }
    }
    packer.finish()?.finish()
}

/// Where the wanted contents lie, in the order of first use, which is the order the target awaits.
fn places(spool: &Spool, contents: &Contents, wanted: &Wanted) -> Result<Vec<(u64, u64)>, EndpointError> {
    let index = spool.index();
    let place = |short, len| match index.lookup_short(short, len) {
        Some(Place::Spool(at)) => Ok((at, len)),
        _ => Err(EndpointError::Broken("a content got lost in the spool".into())),
    };
    contents.select(wanted).map(|(_, content)| place(content.short, content.len)).collect()
}

/// Counts what goes out, or what would.
struct Counted<'a> {
    out: Option<DataWriter<'a>>,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.out {
            Some(out) => out.write(bytes)?,
            None => bytes.len(),
        };
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}
