//! A Node.js process with `vscode-jsonrpc` in it: see peer.js for what it understands.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::npm::installed;

/// Runs peer.js with `args`.
pub(crate) fn peer(args: &[&str]) -> tokio::process::Command {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    let modules = MODULES.get_or_init(|| installed("vscode", include_str!("package.json")));
    let mut command = tokio::process::Command::new("node");
    command.env("NODE_PATH", modules);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/vscode/peer.js")).args(args);
    command
}
