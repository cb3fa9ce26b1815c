//! The report by a template (`--format`), in the part of Go's templates that `docker images --format` is used with: text,
//! `{{.Field}}`, `{{json .Field}}`, `{{json .}}`, and `table` before it all.

use std::str::FromStr;

use dsync_sync::{Entry, LayerState, Report};
use serde_json::{Map, Value};

use super::view::word;
use crate::escape::{self, visible};
use crate::quantity::{age, bytes};

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// Columns, with a heading.
    is_table: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
    Json(Field),
    /// All fields.
    JsonOfAll,
}

/// A field of an image.
type Field = &'static FieldKind;

#[derive(Debug, PartialEq, Eq)]
struct FieldKind {
    name: &'static str,
    heading: &'static str,
    is: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Status,
    Name,
    Repository,
    Tag,
    Id,
    Size,
    Bytes,
    CreatedAt,
    CreatedSince,
    Platform,
    Layers,
    Missing,
    TargetId,
    TargetCreatedAt,
}

const fn field(name: &'static str, heading: &'static str, is: Kind) -> FieldKind {
    FieldKind { name, heading, is }
}

/// The fields, those that docker has under its names.
const FIELDS: &[FieldKind] = &[
    field("Status", "STATUS", Kind::Status),
    field("Name", "NAME", Kind::Name),
    field("Repository", "REPOSITORY", Kind::Repository),
    field("Tag", "TAG", Kind::Tag),
    field("ID", "IMAGE ID", Kind::Id),
    field("Size", "SIZE", Kind::Size),
    field("Bytes", "BYTES", Kind::Bytes),
    field("CreatedAt", "CREATED AT", Kind::CreatedAt),
    field("CreatedSince", "CREATED", Kind::CreatedSince),
    field("Platform", "PLATFORM", Kind::Platform),
    field("Layers", "LAYERS", Kind::Layers),
    field("Missing", "MISSING", Kind::Missing),
    field("TargetID", "TARGET ID", Kind::TargetId),
    field("TargetCreatedAt", "TARGET CREATED AT", Kind::TargetCreatedAt),
];

/// The gap between two columns.
const GAP: usize = 3;

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_table, mut rest) = match text.strip_prefix("table ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut pieces = Vec::new();
        while let Some((before, from)) = rest.split_once("{{") {
            let (inside, after) = from.split_once("}}").ok_or("a '{{' has no '}}'")?;
            pieces.extend((!before.is_empty()).then(|| Piece::Text(unescaped(before))));
            pieces.push(piece(inside)?);
            rest = after;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(unescaped(rest))));
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            return Err(format!("it has no field, such as {{{{.Name}}}}; {}", known()));
        }
        Ok(Template { is_table, pieces })
    }
}

fn piece(inside: &str) -> Result<Piece, String> {
    let words: Vec<&str> = inside.split_whitespace().collect();
    let field = |word: &str| {
        let name = word.strip_prefix('.').unwrap_or_default();
        FIELDS.iter().find(|field| field.name == name).ok_or_else(|| format!("no field {word}; {}", known()))
    };
    match words[..] {
        ["json", "."] => Ok(Piece::JsonOfAll),
        ["json", word] => Ok(Piece::Json(field(word)?)),
        [word] if word.starts_with('.') => Ok(Piece::Field(field(word)?)),
        _ => Err(format!(
            "'{{{{{inside}}}}}' is not known: {{{{.Field}}}}, {{{{json .Field}}}} and {{{{json .}}}} are"
        )),
    }
}

fn known() -> String {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    format!("there are {}", names.join(", "))
}

/// The tabs and line ends of a template, which a shell passes on as they are written.
fn unescaped(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

impl Template {
    /// A line for each entry, in the order of the report. `now` is in seconds since 1970.
    pub(crate) fn lines(&self, report: &Report, now: i64) -> String {
        let mut lines: Vec<String> = self.is_table.then(|| self.heading()).into_iter().collect();
        lines.extend(report.entries.iter().map(|entry| self.line(entry, now)));
        if self.is_table {
            lines = aligned(&lines);
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }

    fn heading(&self) -> String {
        let heading = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) | Piece::Json(field) => field.heading.into(),
            Piece::JsonOfAll => "IMAGE".into(),
        };
        self.pieces.iter().map(heading).collect()
    }

    fn line(&self, entry: &Entry, now: i64) -> String {
        let json = |value: &Value| escape::json(&value.to_string()).into_owned();
        let shown = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => match value(field, entry, now) {
                Value::String(text) => visible(&text).into_owned(),
                Value::Null => "<none>".into(),
                other => other.to_string(),
            },
            Piece::Json(field) => json(&value(field, entry, now)),
            Piece::JsonOfAll => {
                let all = FIELDS.iter().map(|field| (field.name.to_owned(), value(field, entry, now)));
                json(&Value::Object(all.collect::<Map<_, _>>()))
            }
        };
        self.pieces.iter().map(shown).collect()
    }
}

/// The value of a field; null where there is none.
fn value(field: Field, entry: &Entry, now: i64) -> Value {
    let (image, held) = (&entry.image, entry.held.as_ref());
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let name = entry.name.as_ref();
    match field.is {
        Kind::Status => word(entry.status).into(),
        Kind::Name => name.map_or(Value::Null, |name| name.to_string().into()),
        Kind::Repository => name.map_or(Value::Null, |name| name.name().into()),
        Kind::Tag => name.map_or(Value::Null, |name| name.tag().into()),
        Kind::Id => image.id.to_string().into(),
        Kind::Size => bytes(image.size).into(),
        Kind::Bytes => image.size.into(),
        Kind::CreatedAt => text(&image.created),
        Kind::CreatedSince => age(&image.created, now).map_or(Value::Null, Into::into),
        Kind::Platform => image.platform.to_string().into(),
        Kind::Layers => entry.layers.len().into(),
        Kind::Missing => entry.count(LayerState::Missing).into(),
        Kind::TargetId => held.map_or(Value::Null, |held| held.id.to_string().into()),
        Kind::TargetCreatedAt => held.map_or(Value::Null, |held| text(&held.created)),
    }
}

/// Lines whose fields, separated by tabs, stand below each other.
fn aligned(lines: &[String]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<0$}", width + GAP));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// 2024-03-01T00:00:00Z
    const NOW: i64 = 1_709_251_200;

    fn shown(template: &str) -> String {
        template.parse::<Template>().unwrap().lines(&testing::report(), NOW)
    }

    #[test]
    fn fields_stand_where_the_template_has_them() {
        let text = shown(r"{{.Status}}: {{ .Repository }}|{{.Tag}}|{{.CreatedAt}}\t{{.Missing}}/{{.Layers}}");
        insta::assert_snapshot!(text.replace('\t', " -> "), @"
        current: debian|12|2024-02-13T00:00:00Z -> 0/1
        current: ghcr.io/team/tools/linter|v1.64|<none> -> 0/2
        new: mongo|7|2023-11-29T08:00:00.5Z -> 9/9
        need update: redis|latest|2024-02-29T09:00:00Z -> 1/3
        need update: registry.example.com:5000/shop/web|2024.02.29-abcdef|2024-02-29T12:29:15Z -> 2/5
        new: scratchy|latest|0001-01-01T00:00:00Z -> 0/0
        ");
    }

    #[test]
    fn a_table_has_a_heading_and_columns() {
        insta::assert_snapshot!(shown(r"table {{.Name}}\t{{.Size}}\t{{.CreatedSince}}"), @"
        NAME                                                   SIZE     CREATED
        debian:12                                              116 MB   2 weeks ago
        ghcr.io/team/tools/linter:v1.64                        8.3 MB   <none>
        mongo:7                                                701 MB   3 months ago
        redis:latest                                           113 MB   15 hours ago
        registry.example.com:5000/shop/web:2024.02.29-abcdef   412 MB   11 hours ago
        scratchy:latest                                        0 B      <none>
        ");
    }

    #[test]
    fn json_is_an_object_a_line_or_a_value() {
        let text = shown("{{json .}}");
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&first["Name"], &first["Bytes"]), (&"debian:12".into(), &116_500_000.into()));
        assert_eq!(first.as_object().unwrap().len(), FIELDS.len());
        assert!(shown("{{json .Name}} {{json .TargetID}}").contains("\"mongo:7\" null\n"));
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_fields_that_there_are() {
        let refused = |text: &str| text.parse::<Template>().unwrap_err();
        assert!(refused("{{.Nmae}}").starts_with("no field .Nmae; there are Status, Name, "));
        assert!(refused("name").starts_with("it has no field"));
        assert_eq!(refused("{{.Name"), "a '{{' has no '}}'");
        assert!(
            refused("{{range .}}").starts_with("'{{range .}}' is not known"),
            "{}",
            refused("{{range .}}")
        );
        assert!(refused("{{}}").starts_with("'{{}}' is not known"));
    }

    #[test]
    fn texts_of_others_are_escaped() {
        let mut report = testing::report();
        report.entries[0].image.created = "a\u{1b}[2Jb".into();
        for template in ["{{.CreatedAt}}", "{{json .}}"] {
            let text = template.parse::<Template>().unwrap().lines(&report, NOW);
            assert!(!text.contains('\u{1b}') && text.contains("u"), "{text:?}");
        }
    }
}
