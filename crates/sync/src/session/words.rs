//! Texts of an end for people, cut to what a person reads. The other end may be anything, and a reply may have megabytes.

use dsync_core::{Image, Platform, Unreadable};
use dsync_proto::limits::{CAUSE, CAUSES, FOLDERS, NAME};
use dsync_proto::{Examined, Failure, Opened, Survey};

/// The beginning of a text that has more characters than these.
pub(crate) fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

/// The causes of a failure.
pub(crate) fn of_failure(mut failure: Failure) -> Failure {
    failure.causes.truncate(CAUSES);
    failure.causes.shrink_to_fit();
    failure.causes.iter_mut().for_each(|cause| cut(cause, CAUSE));
    failure
}

/// The names of a store and of a version.
pub(crate) fn of_store(mut opened: Opened) -> Opened {
    cut(&mut opened.store, NAME);
    cut(&mut opened.version, NAME);
    opened
}

/// The texts that a source has for an image.
pub(crate) fn of_image(mut image: Image) -> Image {
    let Platform { os, architecture, variant } = &mut image.platform;
    [os, architecture, variant, &mut image.created].into_iter().for_each(|text| cut(text, NAME));
    image
}

/// The reason why a source cannot read an image.
pub(crate) fn of_unreadable(mut image: Unreadable) -> Unreadable {
    cut(&mut image.reason, CAUSE);
    image
}

/// The texts that a target has for an image.
pub(crate) fn of_survey(mut survey: Survey) -> Survey {
    let created = survey.holders.iter_mut().flatten().map(|holder| &mut holder.created);
    let texts = survey.basis.iter_mut().chain(created).chain([&mut survey.foreign_to]);
    texts.for_each(|text| cut(text, NAME));
    survey
}

/// The description of the host of an end, without the bytes that measure the link.
pub(crate) fn of_examined(mut examined: Examined) -> Examined {
    cut(&mut examined.system, NAME);
    examined.folders.truncate(FOLDERS);
    examined.folders.iter_mut().for_each(|folder| cut(&mut folder.path, CAUSE));
    examined.probe = Vec::new();
    examined
}

/// The names of which one may have been meant: what is longer is none.
pub(crate) fn of_names(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name.len() <= NAME);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, expected) in [("", ""), ("äb", "äb"), ("äbc", "äbc"), ("äbcd", "äbc…")] {
            let mut text = text.to_owned();
            cut(&mut text, 3);
            assert_eq!(text, expected);
        }
    }
}
