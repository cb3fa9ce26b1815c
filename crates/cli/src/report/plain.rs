//! The report for a pipe: a line for each image, its fields separated by tabs, no heading, no colour.
//!
//! `STATUS  NAME  SIZE  CREATED  MISSING/LAYERS  ID  CREATED-ON-TARGET  ID-ON-TARGET`, sizes in bytes, `-` where something
//! is unknown or not there; the status of an image that cannot be read is `unreadable`. The order of the fields is promised: `cut`,
//! `grep` and `sort` work on it, and new fields come at the end.

use dsync_sync::{LayerState, Report};

use super::view::word;
use crate::escape::visible;

/// One line for each entry, in the order of the report.
pub(crate) fn plain(report: &Report) -> String {
    let mut text = String::new();
    for entry in &report.entries {
        let image = &entry.image;
        let name = entry.name.as_ref().map_or_else(|| "-".into(), ToString::to_string);
        let held = entry.held.as_ref();
        let target_created = held.map_or("", |held| &held.created);
        let [created, target_created] = [&image.created, target_created].map(|text| match text.is_empty() {
            true => "-".into(),
            false => visible(text),
        });
        let target_id = held.map_or_else(|| "-".into(), |held| held.id.to_string());
        text += &format!(
            "{}\t{}\t{}\t{created}\t{}/{}\t{}\t{target_created}\t{target_id}\n",
            word(entry.status),
            visible(&name),
            image.size,
            entry.count(LayerState::Missing),
            entry.layers.len(),
            image.id,
        );
    }
    for image in &report.unreadable {
        let id = image.id.map_or_else(|| "-".into(), |id| id.to_string());
        let names: Vec<String> = match &image.names[..] {
            [] => vec!["-".into()],
            names => names.iter().map(ToString::to_string).collect(),
        };
        for name in names {
            text += &format!("unreadable\t{}\t-\t-\t-\t{id}\t-\t-\n", visible(&name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn fields_can_be_cut() {
        let text = plain(&testing::report());
        insta::assert_snapshot!(text.replace('\t', " | "), @"
        current | debian:12 | 116500000 | 2024-02-13T00:00:00Z | 0/1 | sha256:3be3c43cd7ee541bb601f8131132ed025ff97406130f73774fe3ffcf6ee8b86d | 2024-02-13T00:00:00Z | sha256:3be3c43cd7ee541bb601f8131132ed025ff97406130f73774fe3ffcf6ee8b86d
        current | ghcr.io/team/tools/linter:v1.64 | 8300000 | - | 0/2 | sha256:eec51370523dd3ca3dcc164248cb7f9e168ab115389aa948d02a9655974babfb | - | sha256:eec51370523dd3ca3dcc164248cb7f9e168ab115389aa948d02a9655974babfb
        new | mongo:7 | 701000000 | 2023-11-29T08:00:00.5Z | 9/9 | sha256:e47d276d4dfc58c1e3f6e82c4642a9169493a506a4306588bac636d95c36450d | - | -
        need update | redis:latest | 113000000 | 2024-02-29T09:00:00Z | 1/3 | sha256:e6e61849494c55a096cb48f7efb262271a50e2452b6a9e3553cf26f519f01d23 | 2024-02-28T08:00:00Z | sha256:da925a30e31f7fdaa7044e3e5ba4ae17670de82d677b0e7adf5700428a137a36
        need update | registry.example.com:5000/shop/web:2024.02.29-abcdef | 412000000 | 2024-02-29T12:29:15Z | 2/5 | sha256:18702cdda8916aa420d380c51fa325f28420d8126e465b223cc403c99ecb59b6 | 2024-02-28T08:00:00Z | sha256:da925a30e31f7fdaa7044e3e5ba4ae17670de82d677b0e7adf5700428a137a36
        new | scratchy:latest | 0 | 0001-01-01T00:00:00Z | 0/0 | sha256:9d5871926a9f570b90f45f7335c7db5ce005c4343ec88245a1e996091655feb5 | - | -
        ");
        let mut report = testing::report();
        report.unreadable.push(testing::unreadable());
        let text = plain(&report);
        let last = text.lines().last().unwrap().replace('\t', " | ");
        insta::assert_snapshot!(last, @"unreadable | old/image:1 | - | - | - | sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad | - | -");
        assert!(text.lines().all(|line| line.split('\t').count() == 8));
    }
}
