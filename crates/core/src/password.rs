//! A password that a person types.

use std::fmt;

use zeroize::Zeroizing;

/// A password. Its memory is zeroed when it is dropped, and nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password.
    pub fn new(text: String) -> Self {
        Password(Zeroizing::new(text))
    }

    /// The text, for whoever checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Without the text.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let password = Some(Password::new("hunter2".into()));
        assert_eq!(
            format!("{password:?} {password:#?}").replace(['\n', ' ', ','], ""),
            "Some(Password(…))".repeat(2)
        );
        assert_eq!(password.as_ref().map(Password::reveal), Some("hunter2"));
    }
}
