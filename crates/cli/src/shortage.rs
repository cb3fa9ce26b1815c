//! Shortages of the system, for this user or this process: their failures are nobody's bug, and have hints of their own.

/// Something that a limit of the system is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    Memory,
    OpenFiles,
    FileSize,
    Processes,
}

/// Words of the system, of the standard library and of zstd. They are not translated.
const WORDS: [(Shortage, &[&str]); 4] = [
    (
        Shortage::Memory,
        &["memory allocation of ", "Cannot allocate memory", "not enough memory", "out of memory"],
    ),
    (Shortage::OpenFiles, &["Too many open files"]),
    (Shortage::FileSize, &["File too large"]),
    (Shortage::Processes, &["failed to spawn thread", "Resource temporarily unavailable", "Cannot fork"]),
];

impl Shortage {
    /// The shortage that a message is about, if it is about one.
    pub(crate) fn of(message: &str) -> Option<Shortage> {
        let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
        found.map(|(shortage, _)| *shortage)
    }

    /// The predicate of a sentence whose subject is the program that it happened to.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Shortage::Memory => "got no more memory",
            Shortage::OpenFiles => "may open no more files",
            Shortage::FileSize => "may write no larger file",
            Shortage::Processes => "may start no more threads",
        }
    }

    /// The advice about it, for a place.
    pub(crate) fn hint(self, place: &str) -> String {
        match self {
            Shortage::Memory => {
                format!(
                    "get along with less (--memory 64MB), or allow more on {place}: `ulimit -v` shows the limit"
                )
            }
            Shortage::OpenFiles => format!("allow more open files on {place}: `ulimit -n` shows the limit"),
            Shortage::FileSize => format!("allow larger files on {place}: `ulimit -f` shows the limit"),
            Shortage::Processes => format!("allow more processes on {place}: `ulimit -u` shows the limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_known_by_the_words_of_the_system() {
        let of = |code| Shortage::of(&std::io::Error::from_raw_os_error(code).to_string());
        let codes = [
            (rustix::io::Errno::NOMEM, Shortage::Memory),
            (rustix::io::Errno::MFILE, Shortage::OpenFiles),
            (rustix::io::Errno::FBIG, Shortage::FileSize),
            (rustix::io::Errno::AGAIN, Shortage::Processes),
        ];
        for (code, shortage) in codes {
            assert_eq!(of(code.raw_os_error()), Some(shortage));
        }
        assert_eq!(of(rustix::io::Errno::NOSPC.raw_os_error()), None);
        assert_eq!(Shortage::of("Allocation error : not enough memory"), Some(Shortage::Memory));
    }
}
