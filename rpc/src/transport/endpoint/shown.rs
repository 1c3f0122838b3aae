//! What is shown of a URL in errors, logs and `Debug`: scheme, host and port. A path and a query
//! often hold a key (`wss://node.example/v1/KEY`, `?token=`), and what stands before the host is a
//! password.

use std::fmt;

use super::Net;

/// What stands in the place of something that is not shown.
pub(crate) const HIDDEN: &str = "…";

impl Net {
    /// Scheme, host and port.
    pub(crate) fn server(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    /// The same, and whether there is more.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if matches!(&*self.path, "" | "/") { &*self.path } else { "/…" };
        write!(f, "{}{more}", self.server())
    }
}

/// A text that was to be a URL, or that a server sends as one. Nothing is known of it: what could
/// be a password, a path or a query is not shown.
pub(crate) fn shown(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    // A place on this machine.
    let is_local =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if ["unix:", "stdio:", "memory:"].into_iter().any(is_local) {
        return text.to_owned();
    }
    let scheme = match scheme {
        Some(scheme) if is_scheme(scheme) => format!("{scheme}://"),
        Some(_) => format!("{HIDDEN}://"),
        None => String::new(),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A password may have a slash in it: then nothing says where the host begins.
    let authority = match authority.rsplit_once('@') {
        _ if path.contains('@') => HIDDEN.to_owned(),
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let more = if matches!(path, "" | "/") { path } else { "/…" };
    format!("{scheme}{authority}{more}")
}

/// RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_secret_is_shown() {
        for (text, seen) in [
            ("wss://node.example:1/v1/secret?key=secret#secret", "wss://node.example:1/…"),
            ("wss://node.example?secret", "wss://node.example/…"),
            ("wss://node.example#secret", "wss://node.example/…"),
            ("wss://node.example/", "wss://node.example/"),
            ("https://secret:secret@node.example/secret", "https://…@node.example/…"),
            ("https://secret@sec@node.example:99999", "https://…@node.example:99999"),
            ("https://ann:sec/ret@node.example/", "https://…/…"),
            ("https://node.example/secret@secret", "https://…/…"),
            ("ann:secret@node.example:80", "…@node.example:80"),
            ("node.example/secret", "node.example/…"),
            ("/secret?secret", "/…"),
            ("ann:secret@wss://node.example/secret", "…://node.example/…"),
            ("gopher://node.example/secret", "gopher://node.example/…"),
            ("unix:@name", "unix:@name"),
            ("unix:///run/a@b", "unix:///run/a@b"),
            ("localhost:80", "localhost:80"),
            ("", ""),
        ] {
            assert_eq!(shown(text), seen);
        }
    }
}
