//! The namespace of containerd that is meant: each has images of its own.

use super::records;
use crate::command::Program;
use crate::store::StoreError;

/// The variable from which `ctr` has its namespace.
const VARIABLE: &str = "CONTAINERD_NAMESPACE";
/// The namespace of `ctr` and `nerdctl`, which need not exist before it has something.
const DEFAULT: &str = "default";
/// The namespace of Kubernetes.
const KUBERNETES: &str = "k8s.io";

/// The namespace that a command line names.
fn named(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    let mut named = None;
    while let Some(word) = words.next() {
        if word == "ctr" || word.ends_with("/ctr") {
            let mut flags = words.clone();
            while let Some(flag) = flags.next() {
                match flag.split_once('=') {
                    Some(("-n" | "--namespace", name)) => return Some(name.into()),
                    None if ["-n", "--namespace"].contains(&flag.as_str()) => return flags.next().cloned(),
                    _ => {}
                }
            }
        } else if let Some((VARIABLE, name)) = word.split_once('=') {
            named = Some(name.to_owned());
        }
    }
    named
}

/// The client for the namespace that is meant, and its name.
///
/// It is the one that was named by the user, the client's command line or its variable; else the only one that has
/// images, else that of Kubernetes where there is one, else the client's own.
pub(super) fn choose(ctr: &Program, wanted: Option<&str>) -> Result<(Program, String), StoreError> {
    let output = ctr.run(&["namespaces", "ls", "-q"], None)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let all: Vec<&str> = said.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let within = |name: &str| ctr.with(&["--namespace", name]);
    let variable = || std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    let named = wanted.map(str::to_owned).or_else(|| named(ctr.words())).or_else(variable);
    if let Some(name) = named {
        if name != DEFAULT && !all.contains(&name.as_str()) {
            let known =
                if all.is_empty() { "it has none".into() } else { format!("it has {}", all.join(", ")) };
            let message = format!(
                "containerd has no namespace '{name}': {known} (`ctr namespaces create {name}` makes it)"
            );
            return Err(StoreError::NoStore { message });
        }
        return Ok((within(&name), name));
    }
    let mut full = Vec::new();
    for name in &all {
        if !records::list(&within(name))?.is_empty() {
            full.push(*name);
        }
    }
    let name = match (&full[..], all.contains(&KUBERNETES)) {
        ([only], _) => only,
        (_, true) => KUBERNETES,
        (_, false) => DEFAULT,
    };
    Ok((within(name), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_command_line_names_a_namespace() {
        let of = |line: &str| named(&words(line));
        assert_eq!(of("sudo -n ctr"), None);
        assert_eq!(of("sudo -n ctr -n k8s.io"), Some("k8s.io".into()));
        assert_eq!(of("ctr --namespace=a"), Some("a".into()));
        assert_eq!(of("env CONTAINERD_NAMESPACE=b ctr -a /x"), Some("b".into()));
        assert_eq!(of("env CONTAINERD_NAMESPACE=b ctr --namespace c"), Some("c".into()));
    }

    /// A client with these namespaces, each with a number of images.
    fn client(namespaces: &[(&str, usize)]) -> Program {
        let all: Vec<&str> = namespaces.iter().map(|(name, _)| *name).collect();
        let line = format!("x t sha256:{} \\n", "0".repeat(64));
        let cases: Vec<String> = namespaces
            .iter()
            .map(|(name, count)| format!("{name}) printf 'REF TYPE DIGEST\\n{}';;", line.repeat(*count)))
            .collect();
        let script = format!(
            "case $1 in namespaces) printf '{}\\n';; --namespace) case $2 in {} esac;; esac",
            all.join("\\n"),
            cases.join(" ")
        );
        Program::find(&["sh", "-c", &script, "client"].map(str::to_owned)).unwrap()
    }

    #[test]
    fn a_namespace_is_found() {
        let chosen = |namespaces: &[(&str, usize)]| choose(&client(namespaces), None).unwrap().1;
        assert_eq!(chosen(&[]), "default");
        assert_eq!(chosen(&[("a", 0), ("b", 2)]), "b");
        assert_eq!(chosen(&[("a", 1), ("b", 2)]), "default");
        assert_eq!(chosen(&[("a", 1), ("k8s.io", 0)]), "a");
        assert_eq!(chosen(&[("a", 1), ("default", 1), ("k8s.io", 3)]), "k8s.io");
        assert_eq!(chosen(&[("k8s.io", 0), ("moby", 0)]), "k8s.io");
    }

    #[test]
    fn a_namespace_that_is_not_there_is_refused() {
        let client = client(&[("a", 1), ("k8s.io", 0)]);
        assert_eq!(choose(&client, Some("a")).unwrap().1, "a");
        assert_eq!(choose(&client, Some("default")).unwrap().1, "default");
        let error = choose(&client, Some("nope")).unwrap_err();
        assert!(matches!(error, StoreError::NoStore { .. }));
        assert!(error.to_string().contains("no namespace 'nope': it has a, k8s.io"), "{error}");
    }
}
