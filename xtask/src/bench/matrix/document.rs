//! The cells as tables of Markdown.

use std::collections::BTreeSet;

use dsync_e2e::KINDS;

use super::{Cell, Same};
use crate::bench::conditions::{Conditions, measured};
use crate::bench::end::title;
use crate::bench::pair::PAIRS;
use crate::bench::record::{Case as _, Record};
use crate::table::Table;
use crate::units::bytes;

const EXPLANATION: &str = "\
Bytes on the wire are what ssh and sshd exchanged, both ways, counted by a proxy between them. The target pulls; it has \
got the old image by a sync from the same source, which has both images, and the agent is in place. In stores that name \
images by manifests layers are compressed as BuildKit and `docker push` do it; where such a store gets an image of \
another kind of store, its layers are not. Every target is a new one.

*ID*: the target shows the ID of the source. *content*: the same config and the same layers, so the image runs the same, \
under an ID of the target's kind. Where IDs are those of configs the ID is that of the config, and of manifests that \
of a canonical manifest. Times are in [matrix.jsonl](matrix.jsonl).
";

/// The whole document.
pub(super) fn document(records: &[Record<Cell>]) -> String {
    let mut text = format!("# Between which stores\n\n{}\n\n{EXPLANATION}", conditions(records));
    for pair in PAIRS {
        let of_pair = || records.iter().filter(|record| record.case.pair == pair.name);
        // `max` comes after `auto` and levels, but is what the matrix is about.
        let compressions: BTreeSet<&str> = of_pair().map(|record| record.case.compression.as_str()).collect();
        for compression in compressions.iter().rev() {
            let records: Vec<&Record<Cell>> =
                of_pair().filter(|record| record.case.compression == *compression).collect();
            text += &format!(
                "\n## {}: {} to {}, `--compression {compression}`\n\nThe change: {}.\n\n{}",
                pair.name,
                pair.old,
                pair.new,
                pair.change,
                table(&records)
            );
        }
    }
    text
}

/// One paragraph on how the figures came about.
fn conditions(records: &[Record<Cell>]) -> String {
    let all: Vec<&Conditions> = records.iter().map(|record| &record.conditions).collect();
    match measured(Cell::KIND, &all) {
        Some(measured) => format!("{measured}, with both engines and the sshd on one machine."),
        None => "Nothing has been measured yet.".to_owned(),
    }
}

/// One line for each kind of source, one column for each kind of target; what was not measured is empty.
fn table(records: &[&Record<Cell>]) -> String {
    let is_there =
        |kind: &&str, of: fn(&Cell) -> &str| records.iter().any(|record| of(&record.case) == *kind);
    let title = |kind: &str| {
        let ends = records.iter().flat_map(|Record { case, conditions, .. }| {
            [(&case.from, &conditions.versions[0]), (&case.to, &conditions.versions[1])]
        });
        let version = ends.filter(|(known, _)| *known == kind).map(|(_, version)| version.as_str()).next();
        title(kind, version.unwrap_or_default())
    };
    let columns: Vec<&str> = KINDS.into_iter().filter(|kind| is_there(kind, |cell| &cell.to)).collect();
    let titles: Vec<String> = columns.iter().map(|kind| title(kind)).collect();
    let mut table = Table::new(&["from \\ to"], &titles);
    for from in KINDS.into_iter().filter(|kind| is_there(kind, |cell| &cell.from)) {
        let cell = |to: &&str| {
            let record = records.iter().find(|record| record.case.from == from && record.case.to == *to);
            record.map(|Record { figures, .. }| format!("{} {}", bytes(figures.bytes()), mark(figures.same)))
        };
        let cells = columns.iter().map(|to| cell(to).unwrap_or_default());
        table.row([format!("**{}**", title(from))].into_iter().chain(cells));
    }
    table.text()
}

fn mark(same: Same) -> &'static str {
    match same {
        Same::Content => "content",
        Same::Id => "ID",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Figures;
    use super::*;

    #[test]
    fn a_cell_has_its_place_and_what_is_not_there_is_empty() {
        let record = |from: &str, to: &str, versions: [&str; 2], down, same| Record {
            conditions: Conditions {
                date: "2024-02-29".to_owned(),
                commit: "abc".to_owned(),
                machine: "2 cores".to_owned(),
                versions: versions.map(str::to_owned),
            },
            case: Cell {
                pair: "node".to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
                compression: "max".to_owned(),
                ..Cell::default()
            },
            figures: Figures { down, same, ..Figures::default() },
        };
        let records = [
            record("oci", "docker-28-containerd", ["", "28.5.2+dfsg"], 1_130_000, Same::Id),
            record("podman", "docker-28-containerd", ["4.3.1", "28.5.2"], 1_140_000, Same::Content),
            record("podman", "podman", ["4.3.1", "4.3.1"], 1_120_000, Same::Id),
        ];
        let text = document(&records);
        for expected in [
            "bench matrix` on 2024-02-29 (commit abc) on 2 cores, ",
            "## node: node:1 to node:2, `--compression max`\n",
            "| from \\ to | podman 4.3 | Docker 28.5, containerd |\n|---|--:|--:|\n\
             | **podman 4.3** | 1.12 MB ID | 1.14 MB content |\n\
             | **OCI layout** |  | 1.13 MB ID |\n",
        ] {
            assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        }
        assert!(!text.contains("## django"), "{text}");
        assert!(document(&[]).contains("Nothing has been measured yet."));
    }
}
