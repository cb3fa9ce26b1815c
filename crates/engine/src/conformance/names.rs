//! Names point to one image; the image that loses one stays.

use super::sample::{Sample, layer, name, shown, unique};
use crate::store::Store;

pub(super) fn names_move_and_images_stay(store: &dyn Store) {
    let [old, new] = ["old", "new"].map(|path| {
        let sample = Sample::new(vec![layer(path, unique().as_bytes())]);
        sample.imported(store)
    });
    let names = |id| shown(store, id).expect("a nameless image stays").names;
    assert!(names(&old).is_empty(), "an import gives no name");
    let (b, a) = (name("b"), name("a"));
    store.tag(&old, &[b.clone(), a.clone()]).expect("an image can have two names");
    assert_eq!(names(&old), [a.clone(), b.clone()], "names are sorted");
    store.tag(&new, std::slice::from_ref(&a)).expect("a name can move");
    assert_eq!((names(&old), names(&new)), (vec![b.clone()], vec![a.clone()]));
    store.tag(&new, std::slice::from_ref(&b)).expect("a name can move");
    assert_eq!((names(&old), names(&new)), (vec![], vec![a.clone(), b.clone()]));
    store.tag(&new, &[a.clone(), b.clone()]).expect("a name may be given again");
    store.tag(&new, &[]).expect("no name is fine");
    assert_eq!(names(&new), [a, b]);
}
