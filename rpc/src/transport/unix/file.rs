//! The file of a listening socket: replacing a stale one, and removing it.
//!
//! The file remains when a server is killed, and bind fails while it exists. An existing file is
//! therefore examined: it is removed only if it is a socket and nobody listens on it.

use std::{
    fs::{self, FileType, Metadata},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use tokio::{net::UnixStream, time::Instant};

use crate::jsonrpc::shown::brief;

/// Time limit to wait for other servers that are starting in the same directory. They need a moment
/// only.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);

/// Held while a socket in the directory is examined, removed, or bound without listening, so that
/// two servers that start at the same time do not take each other's socket for a stale one.
///
/// The lock is on the directory itself: a separate lock file could never be removed safely.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _directory: Option<OwnedFd>,
}

impl DirectoryLock {
    /// Waits for the lock for a limited time. If it is not available (the directory is not
    /// readable, the file system has no locks, another process keeps it), it proceeds without: the
    /// race that it prevents is short.
    pub(super) async fn take(path: &Path) -> io::Result<Self> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let opened =
            match open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(io::Error::from)
            {
                Ok(opened) => opened,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", directory.display())));
                }
                Err(error) => return Ok(Self::none(&error)),
            };
        let started = Instant::now();
        loop {
            match flock(&opened, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from) {
                Ok(()) => return Ok(Self { _directory: Some(opened) }),
                Err(error) if error.kind() == ErrorKind::WouldBlock && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Ok(Self::none(&error)),
            }
        }
    }

    fn none(error: &io::Error) -> Self {
        tracing::debug!(rpc.system.name = "jsonrpc", error = %brief(&error), "the directory of a socket cannot be locked");
        Self { _directory: None }
    }
}

/// Removes a socket at `path` on which nobody listens.
///
/// # Errors
///
/// `AddrInUse` if somebody listens, or if that cannot be determined; `AlreadyExists` for any other
/// kind of file.
pub(super) async fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            format!("{} is there, which is no socket: it is left alone", name_of(kind)),
        ));
    }
    // Does not wait: a full queue is reported as an error.
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io::Error::new(
                error.kind(),
                format!("a socket is there at which nobody listens, and it cannot be removed: {error}"),
            )),
            _ => {
                tracing::debug!(rpc.system.name = "jsonrpc", path = %brief(path.display()), "a socket that was left behind is removed");
                Ok(())
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(address_in_use()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(address_in_use()),
        Err(error) => Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!(
                "a socket is there, and whether somebody listens cannot be found out ({error}): it is left alone"
            ),
        )),
    }
}

/// The error for an address where another server listens.
pub(super) fn address_in_use() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "another server listens there")
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a file",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a named pipe",
        _ => "a device",
    }
}

/// The file of a bound socket. Removed on drop, unless it was replaced.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Absolute: the process may change its directory.
    path: PathBuf,
    id: FileId,
}

/// Tells a file from a replacement.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

impl SocketFile {
    /// The file that was just created by bind.
    pub(super) fn bound(path: &Path) -> io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)?, id: FileId::of(&fs::symlink_metadata(path)?) })
    }

    /// Whether `/proc`, which [`set_mode`](Self::set_mode) needs, is available.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn can_set_mode() -> bool {
        Path::new("/proc/self/fd").exists()
    }

    /// Sets the permissions regardless of the umask, on this file only: another user with write
    /// access to the directory could have replaced it by a link to a sensitive file.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        use std::os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _};

        let file = fs::File::from(open(
            &self.path,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
        if FileId::of(&file.metadata()?) != self.id {
            return Err(replaced());
        }
        // fchmod(2) rejects an `O_PATH` descriptor; proc(5) offers this path to the file instead.
        fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), fs::Permissions::from_mode(mode))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        use rustix::fs::{AtFlags, CWD, RawMode, chmodat};

        let mode = Mode::from_raw_mode(mode as RawMode);
        chmodat(CWD, &self.path, mode, AtFlags::SYMLINK_NOFOLLOW)?;
        match self.is_in_place() {
            true => Ok(()),
            false => Err(replaced()),
        }
    }

    fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| FileId::of(&found) == self.id)
    }
}

pub(super) fn replaced() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "the socket was replaced while it was made")
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(rpc.system.name = "jsonrpc", path = %brief(self.path.display()), error = %brief(&error), "a socket is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_waited_for_and_not_for_long() {
        let directory = std::env::temp_dir().join(format!("rpc-directory-lock-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let locked = async || DirectoryLock::take(&path).await.unwrap()._directory;

        let kept = locked().await.expect("nobody has it");
        let started = Instant::now();
        assert!(locked().await.is_none(), "somebody keeps it");
        assert!((PATIENCE..PATIENCE + 2 * PAUSE).contains(&started.elapsed()));

        let waiting = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(kept);
        };
        let (given_back, ()) = futures::future::join(locked(), waiting).await;
        assert!(given_back.is_some());
        fs::remove_dir(&directory).unwrap();
    }
}
