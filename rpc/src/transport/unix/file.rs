//! The file that stands for a socket: making way for it, and removing it.
//!
//! The system leaves the file behind when a server ends, and refuses to bind where there is one. So what is found there is looked at: it
//! is removed only if it is a socket and nobody listens at it.

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

/// How long is waited for others that are about to listen in the same directory: it takes them a moment.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);

/// Held while a socket in the directory is looked at, removed, bound and not yet listened at, so that two servers that start at the same
/// time do not take each other's for one that was left behind.
///
/// It is a lock on the directory itself, and not on a file of its own, which nobody could ever remove.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _directory: Option<OwnedFd>,
}

impl DirectoryLock {
    /// Waits for the lock, for a while. Where it is not to be had (the directory cannot be read, its file system has no locks, somebody
    /// keeps it), it goes without: what it guards is a moment.
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

/// Removes a socket at `path` at which nobody listens.
///
/// # Errors
///
/// `AddrInUse` where somebody does, or where that cannot be found out; `AlreadyExists` where there is something else.
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
    // It does not wait: where the queue is full, it says so.
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

/// The place is taken.
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

/// The file of a socket that is bound. When this is dropped it is removed, if it is still the same.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Not relative: the process may change its directory.
    path: PathBuf,
    id: FileId,
}

/// What tells one file from another that was put in its place.
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
    /// The file that was made just now.
    pub(super) fn bound(path: &Path) -> io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)?, id: FileId::of(&fs::symlink_metadata(path)?) })
    }

    /// Whether [`set_mode`](Self::set_mode) has what it needs.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn can_set_mode() -> bool {
        Path::new("/proc/self/fd").exists()
    }

    /// Sets the permissions, whatever the umask is, and of nothing but this file: whoever may write in the directory could have put a link
    /// to something precious in its place.
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
        // fchmod(2) does not take a descriptor that is a mere place; this is the way that proc(5) gives to the file behind it.
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
