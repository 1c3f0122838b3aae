//! Compares the public surface of the crate `rpc` with `rpc/public-api.txt`, which is reviewed with each change.
//!
//! ```text
//! cargo run --manifest-path tests/surface/Cargo.toml             # fails where they differ
//! cargo run --manifest-path tests/surface/Cargo.toml -- --update # writes the file anew
//! ```

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// How many lines of a difference are shown.
const SHOWN: usize = 60;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let file = workspace.join("rpc/public-api.txt");
    let surface = surface(&documented(&workspace)?)?;
    if std::env::args().any(|argument| argument == "--update") {
        fs::write(file, surface)?;
        return Ok(ExitCode::SUCCESS);
    }
    let before = fs::read_to_string(&file)?;
    if before == surface {
        return Ok(ExitCode::SUCCESS);
    }
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), surface.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let added = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(added).take(SHOWN).for_each(|line| println!("{line}"));
    println!("\nthe public surface has changed: look at it, and run this with `-- --update`");
    Ok(ExitCode::FAILURE)
}

/// Has rustdoc describe the crate, with all of its features. Stable compilers do it when they are asked twice.
fn documented(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = workspace.join("target/surface");
    let status = Command::new("cargo")
        .args(["rustdoc", "--quiet", "--locked", "-p", "rpc", "--lib", "--all-features", "--target-dir"])
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTDOCFLAGS")
        .current_dir(workspace)
        .status()?;
    match status.success() {
        true => Ok(target.join("doc/rpc.json")),
        false => Err(format!("rustdoc has failed: {status}").into()),
    }
}

/// One line for each item. What derives and blanket impls add says nothing that the type does not.
fn surface(json: &Path) -> Result<String, Box<dyn Error>> {
    let surface = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let lines = surface.items().map(|item| format!("{item}\n"));
    Ok(lines.filter(|line| !line.contains("rpc::private::")).collect())
}
