//! A Node.js process with `vscode-jsonrpc` in it: see peer.js for what it understands. The package is installed into
//! `target/interop/vscode` when it is first needed; Node.js and npm must be there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::driven::run;

/// What is to be installed.
const PACKAGE: &str = include_str!("package.json");

/// Runs peer.js with `args`.
pub(super) fn peer(args: &[&str]) -> tokio::process::Command {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    let modules = MODULES.get_or_init(installed);
    let mut command = tokio::process::Command::new("node");
    command.env("NODE_PATH", modules);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/vscode/peer.js")).args(args);
    command
}

/// Gives the folder of the modules.
fn installed() -> PathBuf {
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/vscode");
    let modules = there.join("node_modules");
    let wanted: Value = serde_json::from_str(PACKAGE).expect("it is JSON");
    let is_ready = fs::read(modules.join("vscode-jsonrpc/package.json")).is_ok_and(|package| {
        let package: Value = serde_json::from_slice(&package).unwrap_or_default();
        package["version"] == wanted["dependencies"]["vscode-jsonrpc"]
    });
    if !is_ready {
        fs::create_dir_all(&there).expect("`target` is ours");
        fs::write(there.join("package.json"), PACKAGE).expect("`target` is ours");
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(there));
    }
    modules
}
