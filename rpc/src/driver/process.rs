//! Peers that are processes which this side has started.

use std::io;

use crate::{session::CloseReason, transport::Extensions};

/// The file name of the program, and its number in the system: what tells one from another.
#[cfg(feature = "stdio")]
pub(super) fn name_and_id(extensions: &Extensions) -> Option<(String, u32)> {
    use std::path::Path;

    use crate::{jsonrpc::shown::brief, transport::stdio::ChildProcess};

    let process = extensions.get::<ChildProcess>()?;
    let program = Path::new(process.program());
    let name = program.file_name().map_or_else(|| program.to_string_lossy(), |name| name.to_string_lossy());
    Some((brief(name).to_string(), process.id()))
}

/// How it has ended, if it has, and well: where it has failed, its stream says so.
#[cfg(feature = "stdio")]
pub(super) fn ended(extensions: &Extensions) -> Option<CloseReason> {
    use std::sync::Arc;

    use crate::transport::stdio::{ChildExit, ChildProcess};

    let process = extensions.get::<ChildProcess>()?;
    let status = process.exit_status()?;
    let exit = ChildExit { program: process.program().to_owned(), status, printed: None };
    Some(CloseReason::Io(Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, exit))))
}

/// What it has printed, to be filled in, where it has failed.
#[cfg(feature = "stdio")]
pub(super) fn printed(error: &mut io::Error) -> Option<&mut Option<String>> {
    use crate::transport::stdio::ChildExit;

    let exit = error.get_mut()?.downcast_mut::<ChildExit>()?;
    Some(&mut exit.printed)
}

#[cfg(not(feature = "stdio"))]
pub(super) const fn name_and_id(_: &Extensions) -> Option<(String, u32)> {
    None
}

#[cfg(not(feature = "stdio"))]
pub(super) const fn ended(_: &Extensions) -> Option<CloseReason> {
    None
}

#[cfg(not(feature = "stdio"))]
pub(super) const fn printed(_: &mut io::Error) -> Option<&mut Option<String>> {
    None
}
