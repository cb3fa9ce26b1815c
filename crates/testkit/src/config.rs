//! A config described by what is odd about it, and written in the style of some program.

use std::fmt;

use serde_json::{Value, json};

/// The config of an image, but for its layers.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigSpec {
    /// The platform, `os/architecture[/variant]`; an empty part is left out of the config.
    pub platform: String,
    /// When it was built.
    pub created: Created,
    /// The number of a value of ENV.
    pub env: u8,
    /// The number of a command.
    pub cmd: u8,
    /// The number of a label, if there is one.
    pub label: Option<u8>,
    /// The history.
    pub history: History,
    /// Fields that nobody knows.
    pub extra: bool,
    /// The style of the JSON.
    pub style: Style,
}

/// When an image was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The config does not say.
    Missing,
    /// At the time that reproducible builders give to all images.
    Epoch,
    /// The minutes after a fixed time.
    Minute(u8),
    /// With an offset of this many hours instead of `Z`.
    Offset(u8),
    /// With this many digits after the second.
    Fraction(u8),
    /// A text that is no time.
    NoTime,
}

/// The relation of a config's history to its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// A step for each layer, all with the text of this number.
    Fitting(u8),
    /// The same and steps that made no layer in between.
    WithEmptySteps,
    /// There is none.
    Missing,
    /// It is `null`.
    Null,
    /// It has fewer steps than layers.
    Short,
    /// It has more steps than layers.
    Long,
}

/// A style of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without white space, keys in the order of Go's struct.
    Compact,
    /// The same and a line end.
    LineEnd,
    /// Keys in the opposite order.
    Reversed,
    /// On many lines.
    Pretty,
    /// With characters escaped that need not be.
    Escaped,
}

impl Default for ConfigSpec {
    fn default() -> ConfigSpec {
        ConfigSpec {
            platform: "linux/amd64".to_owned(),
            created: Created::Epoch,
            env: 0,
            cmd: 0,
            label: None,
            history: History::Fitting(0),
            extra: false,
            style: Style::Compact,
        }
    }
}

/// Only what is not usual.
impl fmt::Debug for ConfigSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = ConfigSpec::default();
        let mut shown = f.debug_struct("Config");
        let mut field = |name, value: &dyn fmt::Debug, is_usual: bool| {
            if !is_usual {
                shown.field(name, value);
            }
        };
        field("platform", &self.platform, self.platform == usual.platform);
        field("created", &self.created, self.created == usual.created);
        field("env", &self.env, self.env == usual.env);
        field("cmd", &self.cmd, self.cmd == usual.cmd);
        field("label", &self.label, self.label == usual.label);
        field("history", &self.history, self.history == usual.history);
        field("extra", &self.extra, self.extra == usual.extra);
        field("style", &self.style, self.style == usual.style);
        shown.finish()
    }
}

impl Created {
    fn text(self) -> Option<String> {
        match self {
            Created::Missing => None,
            Created::Epoch => Some("1970-01-01T00:00:00Z".to_owned()),
            Created::Minute(minute) => Some(format!("2024-05-06T{:02}:{:02}:08Z", minute / 60, minute % 60)),
            Created::Offset(hours) => Some(format!("2024-05-06T07:08:09+{:02}:30", hours % 13)),
            Created::Fraction(digits) => {
                let digits = &"123456789"[..1 + usize::from(digits) % 9];
                Some(format!("2024-05-06T07:08:09.{digits}Z"))
            }
            Created::NoTime => Some("yesterday".to_owned()),
        }
    }
}

impl ConfigSpec {
    /// Operating system, architecture and variant; each may be empty.
    pub fn platform_parts(&self) -> [&str; 3] {
        let mut parts = self.platform.split('/');
        [(); 3].map(|()| parts.next().unwrap_or_default())
    }

    /// The config of an image with these layers.
    pub fn json(&self, diff_ids: &[String]) -> Vec<u8> {
        let [os, architecture, variant] = self.platform_parts();
        let mut fields: Vec<(&str, Value)> = Vec::new();
        let mut text = |key, value: &str| {
            if !value.is_empty() {
                fields.push((key, json!(value)));
            }
        };
        text("created", &self.created.text().unwrap_or_default());
        text("architecture", architecture);
        text("os", os);
        text("variant", variant);
        let mut config = json!({
            "Env": ["PATH=/usr/bin:/bin", format!("SETTING={}", self.env)],
            "Cmd": ["/bin/run", self.cmd.to_string()],
        });
        if let Some(label) = self.label {
            config["Labels"] = json!({"org.example.label": format!("<{label}>")});
        }
        fields.push(("config", config));
        fields.push(("rootfs", json!({"type": "layers", "diff_ids": diff_ids})));
        if let Some(history) = self.steps(diff_ids.len()) {
            fields.push(("history", history));
        }
        if self.extra {
            fields.push(("moby.buildkit.buildinfo.v1", json!("eyJmIjoxfQ==")));
            fields.push(("container_config", json!({"Hostname": "", "Big": u64::MAX, "Small": -0.5})));
        }
        self.style.write(fields)
    }

    fn steps(&self, layers: usize) -> Option<Value> {
        let created = self.created.text();
        let step = |text: String| {
            let mut step = json!({"created_by": text});
            if let Some(created) = &created {
                step["created"] = json!(created);
            }
            step
        };
        let fitting = |number: u8| (0..layers).map(move |n| step(format!("COPY {number} /{n} # buildkit")));
        let steps: Vec<Value> = match self.history {
            History::Fitting(number) => fitting(number).collect(),
            History::WithEmptySteps => {
                let mut empty = step("ENV A=b".to_owned());
                empty["empty_layer"] = json!(true);
                fitting(0).flat_map(|step| [empty.clone(), step]).chain([empty.clone()]).collect()
            }
            History::Missing => return None,
            History::Null => return Some(Value::Null),
            History::Short => fitting(0).skip(1).collect(),
            History::Long => fitting(0).chain([step("COPY more / # buildkit".to_owned())]).collect(),
        };
        Some(json!(steps))
    }
}

impl Style {
    fn write(self, mut fields: Vec<(&str, Value)>) -> Vec<u8> {
        if self == Style::Reversed {
            fields.reverse();
        }
        let field = |(key, value): &(&str, Value)| match self {
            Style::Pretty => {
                format!("\n  {} :  {}", json!(key), serde_json::to_string_pretty(value).expect("it is JSON"))
            }
            _ => format!("{}:{value}", json!(key)),
        };
        let body = fields.iter().map(field).collect::<Vec<_>>().join(",");
        match self {
            Style::Compact | Style::Reversed => format!("{{{body}}}"),
            Style::LineEnd => format!("{{{body}}}\n"),
            Style::Pretty => format!("{{{body}\n}}\n"),
            Style::Escaped => {
                format!("{{{body}}}").replace('/', "\\/").replace('<', "\\u003c").replace('>', "\\u003E")
            }
        }
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_differ_in_bytes_and_not_in_what_they_say() {
        let ids = vec![crate::sha256(b"layer")];
        let base = ConfigSpec { label: Some(3), extra: true, ..ConfigSpec::default() };
        let styles = [Style::Compact, Style::LineEnd, Style::Reversed, Style::Pretty, Style::Escaped];
        let all = styles.map(|style| ConfigSpec { style, ..base.clone() }.json(&ids));
        for (at, bytes) in all.iter().enumerate() {
            let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
            assert_eq!(parse(bytes), parse(&all[0]), "{:?}", styles[at]);
            assert!(!all[..at].contains(bytes), "{:?}", styles[at]);
        }
    }

    #[test]
    fn what_is_missing_is_not_there() {
        let config = ConfigSpec {
            platform: "//".to_owned(),
            created: Created::Missing,
            history: History::Missing,
            ..ConfigSpec::default()
        };
        let json: Value = serde_json::from_slice(&config.json(&[])).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["config", "rootfs"]);
    }

    #[test]
    fn a_history_fits_or_not() {
        let steps = |history| {
            let json = ConfigSpec { history, ..ConfigSpec::default() }.json(&["a".into(), "b".into()]);
            serde_json::from_slice::<Value>(&json).unwrap()["history"].as_array().map(Vec::len)
        };
        let all = [History::Fitting(1), History::WithEmptySteps, History::Short, History::Long];
        assert_eq!(all.map(steps), [Some(2), Some(5), Some(1), Some(3)]);
        assert_eq!([History::Missing, History::Null].map(steps), [None, None]);
    }
}
