//! Patch files.

use std::fs;

use dsync_sync::{Compression, Identity, Interrupt, PatchInput, PatchOptions, PatchOutput, apply, diff};
use dsync_testkit::Snapshot;
use sha2::{Digest as _, Sha256};

use super::hosts::{Host, MEMORY, SCENARIOS, Scenario};
use super::script;
use crate::pieces::joined;
use crate::{Memory, Target};

/// A patch whose hash and lengths are right around a head and frames of any bytes, applied to the image that it is for.
pub(in crate::targets) const PATCH: Target =
    Target { name: "patch", run, memory: Memory { least: 160 << 20, factor: 1 << 10 }, seeds };

const MAGIC: &[u8] = b"\0docker-syncp\xd5\x0d\x0a\x09\0";

fn run(input: &[u8]) {
    let [how, rest @ ..] = input else { return };
    let scenario = &SCENARIOS[usize::from(how & 0x7f) % SCENARIOS.len()];
    let Some(host) = Host::with(&scenario.old) else { return };
    let before = host.snapshot();
    let file = host.path("patch");
    let bytes = if how & 0x80 != 0 { rest.to_vec() } else { packed(rest) };
    if fs::write(&file, bytes).is_err() {
        return;
    }
    let applied = apply(&options(&host, Identity::Exact), &PatchInput::File(file), false, &());
    let after = host.snapshot();
    match applied {
        Err(_) => before.check_unchanged(&after).unwrap_or_else(|difference| panic!("{difference}")),
        Ok(applied) => check(&before, &after, &applied.image),
    }
    host.check_tidy();
}

/// The image that was made is the one that is said, and nothing else has changed but names that it has.
fn check(before: &Snapshot, after: &Snapshot, image: &dsync_core::Image) {
    let config = image.config.expect("an image that was made has a config").to_string();
    let diff_ids: Vec<String> = image.diff_ids.iter().map(ToString::to_string).collect();
    let own = dsync_testkit::What::Content(config, diff_ids, None);
    let root = dsync_testkit::What::Root(image.id.to_string(), Default::default());
    let what = if after.holds(&root) { root } else { own };
    let names = image.names.iter().map(|name| Some(name.to_string()));
    let wanted: Vec<_> =
        names.chain([None]).map(|name| dsync_testkit::Wanted::new(name, what.clone())).collect();
    before.check_holds(after, &wanted).unwrap_or_else(|difference| panic!("{difference}"));
}

/// The first part is the head, the others are frames.
fn packed(parts: &[u8]) -> Vec<u8> {
    let all = crate::pieces::parts(parts, 2);
    let head = all.first().copied().unwrap_or_default();
    let frames = script::wire(all.get(1).copied().unwrap_or_default());
    let mut bytes = [MAGIC, &(head.len() as u32).to_le_bytes(), head, &frames].concat();
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    bytes
}

fn options(host: &Host, identity: Identity) -> PatchOptions {
    PatchOptions {
        store: host.store(),
        tmpfolder: host.path("tmp").display().to_string(),
        memory: MEMORY,
        compression: Compression::Level(3),
        identity,
        interrupt: Interrupt::default(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, Scenario { old, new }) in SCENARIOS.iter().enumerate() {
        let Some(before) = old.first() else { continue };
        for identity in [Identity::Exact, Identity::Content] {
            let (Some(with_old), Some(with_new)) = (Host::with(old), Host::with(std::slice::from_ref(new)))
            else {
                continue;
            };
            let operand =
                |host: &Host, image: &dsync_testkit::Built| format!("{}:{}", host.store(), image.names[0]);
            let file = with_new.path("patch");
            let (old, new) = (operand(&with_old, before), operand(&with_new, new));
            let output = PatchOutput::File { path: file.clone(), replaces: false };
            if diff(&options(&with_new, identity), &old, &new, &output, &()).is_err() {
                continue;
            }
            let bytes = fs::read(&file).expect("the patch was written");
            let len = u32::from_le_bytes(*bytes[MAGIC.len()..].first_chunk().expect("a patch has a head"));
            let frames = MAGIC.len() + 4 + len as usize;
            let mut parts = vec![bytes[MAGIC.len() + 4..frames].to_vec()];
            parts.extend(script::script(&bytes[frames..bytes.len() - 32]));
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            seeds.push([&[number as u8][..], &joined(&parts)].concat());
        }
    }
    seeds
}
