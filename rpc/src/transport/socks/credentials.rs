//! Who a proxy is told that we are.

use std::fmt;

use super::SocksVersion;

/// What random credentials are made of: as many random bytes for the user and for the password, written as hexadecimal digits (aiorpcX).
const RANDOM_BYTES: usize = 32;

/// How credentials are come by. What it shows of itself never has a password in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Credentials {
    #[default]
    None,
    Given(Pair),
    /// Others for each connection.
    Random,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) user: Box<str>,
    pub(super) password: Box<str>,
}

impl Credentials {
    /// For one connection. A password is made up only where there are some.
    pub(super) fn pair(&self, version: SocksVersion) -> Option<Pair> {
        let password = || if version == SocksVersion::V5 { random() } else { Box::default() };
        match self {
            Self::None => None,
            Self::Given(pair) => Some(pair.clone()),
            Self::Random => Some(Pair { user: random(), password: password() }),
        }
    }
}

fn random() -> Box<str> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Given(pair) => pair.fmt(f),
            Self::Random => f.write_str("Random"),
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}
