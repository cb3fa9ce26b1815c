//! The report for a person: three lists under the words of the original, aligned, as wide as the terminal.
//!
//! No name is ever cut off, since it is there to be copied: the figures of a long one stand on the next line,
//! and where names have very little room the age gives up its own.

use dsync_sync::{Entry, LayerState, Status};

use super::view::{View, label, word};
use crate::escape::visible;
use crate::quantity::{age, bytes, counted, older};
use crate::style::{self, paint};

/// Names have at least this room, or the age is not shown.
const LEAST_NAME: usize = 24;

/// One image, ready to be aligned.
struct Row {
    name: String,
    size: String,
    age: String,
    missing: String,
    /// A line of its own.
    remark: Option<String>,
}

/// The widths of the columns; 0 for an age that is not shown.
struct Widths {
    name: usize,
    size: usize,
    age: usize,
}

/// The whole report. `now` is in seconds since 1970.
pub(crate) fn table(view: View<'_>, width: usize, now: i64) -> String {
    let report = view.report;
    let (source, target) = view.hosts();
    let mut text = format!("from {}\n", place(source, &report.source));
    text += &format!("to   {}\n", place(target, &report.target));

    let rows: Vec<(Status, Row)> =
        report.entries.iter().map(|entry| (entry.status, row(entry, now))).collect();
    let widths = widths(&rows, width);
    for status in [Status::Current, Status::NeedUpdate, Status::New] {
        if !view.task.wants(status) {
            continue;
        }
        let of_status: Vec<&Row> = rows.iter().filter(|(s, _)| *s == status).map(|(_, row)| row).collect();
        let count = paint(style::DIM, of_status.len());
        text += &format!("\n{} {count}\n", paint(color(status), word(status)));
        for row in of_status {
            text += &line(row, &widths);
        }
    }
    if !report.unreadable.is_empty() {
        let (heading, count) = ("cannot be read", report.unreadable.len());
        text += &format!("\n{} {}\n", paint(style::ERROR, heading), paint(style::DIM, count));
        for image in &report.unreadable {
            text += &format!("  {}\n", visible(&label(image)));
            if let ([_, ..], Some(id)) = (&image.names[..], image.id) {
                text += &format!("    {}\n", paint(style::DIM, id));
            }
            text += &format!("    {}\n", visible(&image.reason));
        }
    }
    text + &advice(view)
}

/// A host, and the name of its store where that is another.
fn place(host: Option<&str>, store: &str) -> String {
    let host = host.unwrap_or("this host");
    let name = paint(style::NAME, visible(host));
    if host == store {
        name
    } else {
        format!("{name} {}", paint(style::DIM, format_args!("({})", visible(store))))
    }
}

fn row(entry: &Entry, now: i64) -> Row {
    let missing = entry.count(LayerState::Missing) as u64;
    let total = entry.layers.len() as u64;
    Row {
        name: visible(&entry.label()).into_owned(),
        size: bytes(entry.image.size),
        age: age(&entry.image.created, now).unwrap_or_default(),
        missing: match (entry.status, missing) {
            (Status::Current, _) => String::new(),
            (_, 0) => "no layer missing".into(),
            _ => format!("{missing} of {} missing", counted(total, "layer")),
        },
        remark: entry.replaces_newer().map(|times| format!("older than the target's: {}", older(times, now))),
    }
}

fn widths(rows: &[(Status, Row)], width: usize) -> Widths {
    let widest = |field: fn(&Row) -> &str| rows.iter().map(|(_, row)| columns(field(row))).max().unwrap_or(0);
    let (size, mut age) = (widest(|r| &r.size), widest(|r| &r.age));
    let figures = 2 + 2 + size + 2 + widest(|r| &r.missing);
    let mut room = width.saturating_sub(figures + 2 + age);
    if room < widest(|r| &r.name).min(LEAST_NAME) {
        age = 0;
        room = width.saturating_sub(figures);
    }
    let fitting = rows.iter().map(|(_, row)| columns(&row.name)).filter(|&name| name <= room);
    Widths { name: fitting.max().unwrap_or(2), size, age }
}

/// The columns that a text takes on a terminal; names and figures are ASCII.
fn columns(text: &str) -> usize {
    text.chars().count()
}

fn line(row: &Row, widths: &Widths) -> String {
    let &Widths { name, size, age } = widths;
    let mut line = format!("  {:<name$}", row.name);
    if columns(&row.name) > name {
        line += &format!("\n  {:name$}", "");
    }
    line += &format!("  {:>size$}  ", row.size);
    if age > 0 {
        if !row.age.is_empty() {
            line += &paint(style::DIM, &row.age);
        }
        line += &" ".repeat(age - columns(&row.age) + 2);
    }
    line += &row.missing;
    let mut line = line.trim_end().to_owned() + "\n";
    if let Some(remark) = &row.remark {
        line += &format!("    {}\n", paint(style::BEHIND, remark));
    }
    line
}

/// Nothing was moved; what would move it.
fn advice(view: View<'_>) -> String {
    let of = |status| view.report.entries.iter().filter(|entry| entry.status == status).count();
    let (update, new) = (of(Status::NeedUpdate), of(Status::New));
    let flag = match (update, new) {
        (0, 0) if view.report.entries.is_empty() && view.task.wants(Status::Current) => {
            return "\nThe source has no images with a name.\n".into();
        }
        (0, 0) => return String::new(),
        (_, 0) => "--update",
        (0, _) => "--new",
        (_, _) => "--all",
    };
    let images = counted((update + new) as u64, "image");
    let current = of(Status::Current);
    let mut text = format!(
        "{current} current, {update} need update, {new} new. Nothing was moved.\n\
         Add {flag} to bring {images} over, or name some."
    );
    let older = view.report.entries.iter().filter(|entry| entry.replaces_newer().is_some()).count();
    if older > 0 {
        let replace =
            if older == 1 { "1 of them replaces".into() } else { format!("{older} of them replace") };
        text += &format!("\n{replace} a newer image; --if-newer leaves those alone.");
    }
    if view.report.entries.iter().any(|entry| entry.name.is_none()) {
        text += "\nAn image without a name is named by its ID; as ID=NAME:TAG it gets one.";
    }
    format!("\n{}\n", paint(style::DIM, text))
}

fn color(status: Status) -> anstyle::Style {
    match status {
        Status::Current => style::GOOD,
        Status::NeedUpdate => style::BEHIND,
        Status::New => style::NEW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, NOW};

    fn shown(width: usize) -> String {
        let report = testing::report();
        testing::plain(&table(testing::view(&report), width, NOW))
    }

    #[test]
    fn a_common_terminal() {
        insta::assert_snapshot!(shown(100), @"
        from alice@build (docker 28.2.2, overlay2)
        to   this host (podman 4.3.1)

        current 2
          debian:12                                             116 MB  2 weeks ago
          ghcr.io/team/tools/linter:v1.64                       8.3 MB

        need update 2
          redis:latest                                          113 MB  3 hours ago   1 of 3 layers missing
          registry.example.com:5000/shop/web:2024.02.29-abcdef  412 MB  1 minute ago  2 of 5 layers missing

        new 2
          mongo:7                                               701 MB  3 months ago  9 of 9 layers missing
          scratchy:latest                                          0 B                no layer missing

        2 current, 2 need update, 2 new. Nothing was moved.
        Add --all to bring 4 images over, or name some.
        ");
    }

    #[test]
    fn a_narrow_terminal() {
        insta::assert_snapshot!(shown(72), @"
        from alice@build (docker 28.2.2, overlay2)
        to   this host (podman 4.3.1)

        current 2
          debian:12        116 MB  2 weeks ago
          ghcr.io/team/tools/linter:v1.64
                           8.3 MB

        need update 2
          redis:latest     113 MB  3 hours ago   1 of 3 layers missing
          registry.example.com:5000/shop/web:2024.02.29-abcdef
                           412 MB  1 minute ago  2 of 5 layers missing

        new 2
          mongo:7          701 MB  3 months ago  9 of 9 layers missing
          scratchy:latest     0 B                no layer missing

        2 current, 2 need update, 2 new. Nothing was moved.
        Add --all to bring 4 images over, or name some.
        ");
    }

    #[test]
    fn a_very_narrow_terminal() {
        insta::assert_snapshot!(shown(50), @"
        from alice@build (docker 28.2.2, overlay2)
        to   this host (podman 4.3.1)

        current 2
          debian:12        116 MB
          ghcr.io/team/tools/linter:v1.64
                           8.3 MB

        need update 2
          redis:latest     113 MB  1 of 3 layers missing
          registry.example.com:5000/shop/web:2024.02.29-abcdef
                           412 MB  2 of 5 layers missing

        new 2
          mongo:7          701 MB  9 of 9 layers missing
          scratchy:latest     0 B  no layer missing

        2 current, 2 need update, 2 new. Nothing was moved.
        Add --all to bring 4 images over, or name some.
        ");
    }

    #[test]
    fn an_image_that_cannot_be_read() {
        let mut report = testing::report();
        report.entries.truncate(1);
        report.unreadable.push(testing::unreadable());
        insta::assert_snapshot!(testing::plain(&table(testing::view(&report), 80, NOW)), @"
        from alice@build (docker 28.2.2, overlay2)
        to   this host (podman 4.3.1)

        current 1
          debian:12  116 MB  2 weeks ago

        need update 0

        new 0

        cannot be read 1
          old/image:1
            sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
            its config cannot be used: the image config is not JSON
        ");
    }

    #[test]
    fn an_image_that_is_older_than_the_targets_is_told_with_both_ages() {
        let report = testing::report_of_older();
        let text = testing::plain(&table(testing::view(&report), 80, NOW));
        let (_, update) = text.split_once("need update 1\n").unwrap();
        insta::assert_snapshot!(update.split_once("\n\n").unwrap().0, @"
          redis:latest  113 MB  3 hours ago  1 of 3 layers missing
            older than the target's: built 3 hours ago, the target's 2 hours ago
        ");
    }

    #[test]
    fn images_without_a_name_are_shown_by_their_ids() {
        let mut report = testing::report();
        report.entries.drain(1..);
        report.entries[0].name = None;
        report.entries[0].status = Status::New;
        let text = testing::plain(&table(testing::view(&report), 80, NOW));
        let (_, new) = text.split_once("new 1\n").unwrap();
        insta::assert_snapshot!(new, @"
          sha256:3be3c43cd7ee541bb601f8131132ed025ff97406130f73774fe3ffcf6ee8b86d
              116 MB  2 weeks ago  no layer missing

        0 current, 0 need update, 1 new. Nothing was moved.
        Add --new to bring 1 image over, or name some.
        An image without a name is named by its ID; as ID=NAME:TAG it gets one.
        ");
    }

    #[test]
    fn no_images_at_all() {
        let mut report = testing::report();
        report.entries.clear();
        insta::assert_snapshot!(testing::plain(&table(testing::view(&report), 80, NOW)), @"
        from alice@build (docker 28.2.2, overlay2)
        to   this host (podman 4.3.1)

        current 0

        need update 0

        new 0

        The source has no images with a name.
        ");
    }
}
