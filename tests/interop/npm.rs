//! Packages of npm's, installed into a folder of `target/interop` when they are first needed. Node.js and npm must be there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::driven::run;

/// Installs what `package` (a `package.json`) depends on, in exactly these versions. Gives the folder of the modules.
pub(crate) fn installed(folder: &str, package: &str) -> PathBuf {
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop").join(folder);
    let modules = there.join("node_modules");
    let wanted: Value = serde_json::from_str(package).expect("it is JSON");
    let wanted = wanted["dependencies"].as_object().expect("it has some");
    let is_ready = wanted.iter().all(|(name, version)| {
        fs::read(modules.join(name).join("package.json")).is_ok_and(|package| {
            let package: Value = serde_json::from_slice(&package).unwrap_or_default();
            package["version"] == *version
        })
    });
    if !is_ready {
        fs::create_dir_all(&there).expect("`target` is ours");
        fs::write(there.join("package.json"), package).expect("`target` is ours");
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(there));
    }
    modules
}
