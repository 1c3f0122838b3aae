//! What the kernel takes as the address of a socket, and how long it may be.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

pub(super) use abstract_names::name_of;

/// How many bytes the kernel has for a path, the zero at its end included: `sun_path` in `unix(7)` of Linux and in `unix(4)` of the BSDs.
const SUN_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android", target_os = "solaris", target_os = "illumos")) {
        108
    } else {
        104
    };

/// Where a socket is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address<'a> {
    Path(&'a Path),
    /// A name that is in no file system. Linux only.
    Abstract(&'a [u8]),
}

impl Address<'_> {
    /// As it is given to the kernel: an abstract name begins with a zero.
    pub(super) fn for_kernel(&self) -> io::Result<PathBuf> {
        let (bytes, what) = match self {
            Self::Path(path) => (path.as_os_str().as_bytes(), "path"),
            Self::Abstract(name) => (*name, "abstract name"),
        };
        // The zero at the end of a path, or before a name.
        if bytes.len() >= SUN_PATH {
            return Err(invalid(format!(
                "the {what} of a socket has at most {} bytes, and this one has {}",
                SUN_PATH - 1,
                bytes.len()
            )));
        }
        match self {
            Self::Path(_) if bytes.is_empty() => Err(invalid("the path is empty".to_owned())),
            Self::Path(_) if bytes.contains(&0) => {
                Err(invalid("there is a zero byte in the path".to_owned()))
            }
            Self::Path(path) => Ok(path.to_path_buf()),
            Self::Abstract(_) if !abstract_names::EXIST => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of sockets"))
            }
            Self::Abstract(name) => Ok(OsString::from_vec([&[0], *name].concat()).into()),
        }
    }
}

/// Names of sockets that are in no file system: unix(7). The standard library has them on the same
/// systems, as `std::os::linux::net::SocketAddrExt` and `std::os::android::net::SocketAddrExt`.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod abstract_names {
    pub(super) const EXIST: bool = true;

    pub(in super::super) fn name_of(peer: &tokio::net::unix::SocketAddr) -> Option<&[u8]> {
        peer.as_abstract_name()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod abstract_names {
    pub(super) const EXIST: bool = false;

    pub(in super::super) fn name_of(_: &tokio::net::unix::SocketAddr) -> Option<&[u8]> {
        None
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
