//! Binding a socket whose file gets its permissions before its name, for systems where only the
//! name could be used to change them.
//!
//! Linux has no call that sets the permissions of a socket file by descriptor: fchmod(2) rejects
//! one that only refers to a path (`O_PATH`), and on the socket itself it changes the mode from
//! which the umask is still subtracted. `/proc/self/fd` may be missing in a jail, and fchmodat2(2)
//! needs Linux 6.6. Using the name is unsafe: another user with write access to the directory could
//! have replaced the file by a link to a sensitive one. The socket is therefore bound in a private
//! directory, gets its permissions there, and then its name by a hard link, which replaces nothing.

use std::{
    fs::DirBuilder,
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RawMode, chmodat, linkat, open, statat, unlinkat},
    process::geteuid,
};
use tokio::net::UnixSocket;

use super::file::{address_in_use, replaced};

/// Name of the socket in its directory.
const NAME: &str = "s";

/// Binds `socket` at `path` with these permissions, regardless of the umask.
///
/// # Errors
///
/// `AddrInUse` if a file exists there.
pub(super) fn bind(socket: &UnixSocket, path: &Path, mode: u32) -> io::Result<()> {
    let directory = PrivateDirectory::beside(path)?;
    let place = directory.path.join(NAME);
    socket.bind(&place).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => io::Error::new(
            ErrorKind::InvalidInput,
            format!(
                "without /proc, `unix_mode` needs a socket of a longer path for a moment, and its {} bytes are too \
                 many ({error}): take a shorter path",
                place.as_os_str().len()
            ),
        ),
        _ => error,
    })?;
    // Another user may have renamed the directory, and put another in its place.
    let found = statat(&directory.fd, NAME, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| replaced())?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(replaced());
    }
    chmodat(&directory.fd, NAME, Mode::from_raw_mode(mode as RawMode), AtFlags::empty())?;
    linkat(&directory.fd, NAME, CWD, path, AtFlags::empty()).map_err(|error| match error {
        rustix::io::Errno::EXIST => address_in_use(),
        error => io::Error::from(error),
    })
}

/// A directory that only this user may enter. Removed on drop.
struct PrivateDirectory {
    path: PathBuf,
    /// Used for all operations: the path may come to name another directory.
    fd: OwnedFd,
}

impl PrivateDirectory {
    /// In the same file system as `path`.
    fn beside(path: &Path) -> io::Result<Self> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // Short, since a socket address has little space.
        let path = path.with_file_name(format!(".{:08x}", u32::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = open(&path, flags, Mode::empty())?;
        let found = std::fs::File::from(fd.try_clone()?).metadata()?;
        if found.uid() != geteuid().as_raw() || found.mode() & 0o777 != 0o700 {
            return Err(replaced());
        }
        Ok(Self { path, fd })
    }
}

impl Drop for PrivateDirectory {
    /// A leftover is inaccessible to other users.
    fn drop(&mut self) {
        let _ = unlinkat(&self.fd, NAME, AtFlags::empty());
        drop(std::fs::remove_dir(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    };

    use tokio::net::UnixStream;

    use super::*;

    /// A temporary directory for one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rpc-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[tokio::test]
    async fn a_socket_has_its_permissions_whatever_the_umask_is_and_nothing_else_is_left() {
        let scratch = Scratch::new("private");
        let path = scratch.0.join("socket");
        // They include bits that nearly every umask clears.
        for mode in [0o666, 0o600, 0o777, 0o660, 0o000] {
            let socket = UnixSocket::new_stream().unwrap();
            bind(&socket, &path, mode).unwrap();
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(found.file_type().is_socket());
            assert_eq!((found.mode() & 0o7777, found.nlink()), (mode, 1), "{mode:o}");
            assert_eq!(scratch.names(), ["socket"]);
            let listener = socket.listen(1).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            UnixStream::connect(&path).await.unwrap();
            listener.accept().await.unwrap();
            fs::remove_file(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_there_is_left_alone() {
        let scratch = Scratch::new("private-taken");
        let path = scratch.0.join("socket");
        fs::write(&path, "precious").unwrap();
        let error = bind(&UnixSocket::new_stream().unwrap(), &path, 0o666).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(
            (fs::read(&path).unwrap(), scratch.names()),
            (b"precious".to_vec(), vec!["socket".into()])
        );
    }

    #[tokio::test]
    async fn a_path_for_which_there_is_no_room_says_why() {
        let scratch = Scratch::new("private-long");
        let path = scratch.0.join("x".repeat(97 - scratch.0.as_os_str().len())).join("s");
        fs::create_dir(path.parent().unwrap()).unwrap();
        let error = bind(&UnixSocket::new_stream().unwrap(), &path, 0o666).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().ends_with("take a shorter path"), "{error}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }
}
