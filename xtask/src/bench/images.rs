//! The images of a pair, in the forms in which stores have them.

use dsync_e2e::Real;

use super::end::{End, name};
use super::pair::Pair;
use crate::Result;

/// Old and new image of a pair.
pub(crate) struct Images {
    pair: &'static Pair,
    plain: [Real; 2],
    /// As they are pushed and pulled; only where a source has them so.
    packed: Option<[Real; 2]>,
}

impl Images {
    /// Takes them from the lab's cache, or builds them.
    pub(crate) fn get<S: AsRef<str>>(pair: &'static Pair, sources: &[S]) -> Result<Images> {
        let builder = End::start("docker")?;
        let plain = [pair.old, pair.new].map(|image| Real::of(builder.engine(), image));
        builder.end()?;
        let mut packed = None;
        if sources.iter().any(|kind| dsync_e2e::is_by_manifest(kind.as_ref())) {
            let builder = End::start("docker-28-containerd")?;
            let scratch = builder.dir().join("pushed");
            packed = Some([0, 1].map(|n: usize| plain[n].as_pushed(builder.engine(), &scratch)));
            builder.end()?;
        }
        Ok(Images { pair, plain, packed })
    }

    /// Puts both into a source.
    pub(crate) fn put(&self, source: &End) {
        let images = self.packed.as_ref().filter(|_| source.store.is_packed()).unwrap_or(&self.plain);
        for (recipe, image) in [self.pair.old, self.pair.new].into_iter().zip(images) {
            source.store.put_as_is(&name(recipe), image);
        }
    }

    /// The first digits of the digests of their configs.
    pub(crate) fn short_ids(&self) -> [String; 2] {
        [0, 1].map(|n: usize| self.plain[n].config().short().to_string())
    }
}
