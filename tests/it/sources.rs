//! What the sources promise: no `unsafe`, and layers that only use what is below them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rpc_tests::{circles::circles, layers};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every Rust file below `dir`, with its path from there.
fn sources(dir: &Path) -> Vec<(String, String)> {
    fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    assert!(!found.is_empty(), "{} has no sources", dir.display());
    found
}

#[test]
fn a_module_uses_only_those_below_it() {
    let violations: Vec<String> = sources(&workspace().join("rpc/src"))
        .iter()
        .flat_map(|(file, source)| layers::violations(file, source))
        .collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_components_of_a_session_know_nothing_of_what_shares_them() {
    let sources = sources(&workspace().join("rpc/src"));
    let above: Vec<String> =
        sources.iter().flat_map(|(file, source)| layers::above_components(file, source)).collect();
    assert!(above.is_empty(), "{}", above.join("\n"));
    for (file, source, found) in [
        ("session/calls.rs", "use super::shared::State;", 1),
        ("session/outbox.rs", "fn f(session: &Session) {}", 1),
        ("session/outbox.rs", "// The session's lock, `Shared`.\nlet shares = 1;", 0),
        ("session/call.rs", "use super::Shared;", 0),
    ] {
        assert_eq!(layers::above_components(file, source).len(), found, "{file}: {source}");
    }
}

#[test]
fn a_use_that_runs_the_wrong_way_is_found() {
    for (file, source) in [
        ("session/shared.rs", "use crate::driver::Start;"),
        ("session/shared.rs", "use crate::{\n    framing::AnyFramer,\n    service::{Service, Handled},\n};"),
        ("session/mod.rs", "use super::driver;"),
        ("session/shared.rs", "use super::super::driver;"),
        ("jsonrpc/version/v2.rs", "fn f() -> crate::session::Session { todo() }"),
        ("jsonrpc/id.rs", "pub(crate) use crate::limits;"),
        ("server/mod.rs", "use crate::Session;"),
        ("server/mod.rs", "use crate::{self as root};"),
        ("server/mod.rs", "use crate::*;"),
        ("client/mod.rs", "use crate::private::handle;"),
        ("limits/mod.rs", "#[cfg(test)]\nmod tests { use crate::testing::pair; }"),
        ("surprise.rs", "use crate::jsonrpc;"),
    ] {
        assert_eq!(layers::violations(file, source).len(), 1, "{file}: {source}");
    }
    let found = layers::violations("session/shared.rs", "//! Why.\n\nuse crate::driver::Start;\n");
    assert_eq!(found, ["session/shared.rs:3: `session` uses `driver`, which stands above it"]);
}

#[test]
fn a_use_that_runs_the_right_way_is_fine() {
    for (file, source) in [
        (
            "session/shared.rs",
            "use super::{CallError, outbox::Outbox};\nuse crate::{framing::AnyFramer, jsonrpc::{Id, table}};",
        ),
        ("session/mod.rs", "/// See [`Server`](crate::server::Server).\npub(crate) use shared::Shared;"),
        ("session/mod.rs", "// use crate::driver;\nuse crate::session::shared;"),
        ("driver/mod.rs", "use crate::service::Service;\nmod tests { use super::*; }"),
        ("lib.rs", "pub use crate::server::Server;"),
        ("private.rs", "pub use crate::service::handle;"),
        (
            "testing.rs",
            "use crate::{client::Connector, driver::{self, Start}};\nmod tests { use super::pair; }",
        ),
        ("jsonrpc/id.rs", "use not_crate::driver; pub(in crate) fn f() {}"),
    ] {
        assert_eq!(layers::violations(file, source), Vec::<String>::new(), "{file}");
    }
}

#[test]
fn no_import_runs_in_a_circle() {
    let circles = circles(&sources(&workspace().join("rpc/src")));
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_wherever_it_runs() {
    let found = |files: &[(&str, &str)]| {
        circles(
            &files.iter().map(|(file, code)| ((*file).to_owned(), (*code).to_owned())).collect::<Vec<_>>(),
        )
    };
    let (one, other) = ("session/one.rs", "session/other.rs");
    for circle in [
        &[(one, "use super::other::B;"), (other, "fn f() -> super::one::A {}")][..],
        &[(one, "use crate::session::{other::{B, C}, D};"), (other, "use super::one::{self as first};")],
        // Through what another file hands out.
        &[
            ("session/mod.rs", "mod one; mod other; pub(crate) use one::A; pub use other::B;"),
            (one, "use super::B;"),
            (other, "use super::A;"),
        ],
        // Between a folder and what is inside it.
        &[("session/mod.rs", "use one::A; struct B;"), (one, "use super::B;")],
        &[("session/mod.rs", "mod one; fn f() { one::go(); }"), (one, "use crate::session::B;")],
        // Of three, and inside a macro.
        &[
            (one, "use super::other::B;"),
            (other, "fn f() { log!(\"{}\", super::third::C) }"),
            ("session/third.rs", "use super::one::A;"),
        ],
    ] {
        assert_eq!(found(circle).len(), 1, "{circle:?}");
    }
    for fine in [
        &[
            (one, "use super::other::B;"),
            (other, "// use super::one::A;\n/// [`A`](super::one::A)\nstruct B;"),
        ][..],
        &[
            ("session/mod.rs", "mod one; pub use one::A;"),
            (one, "use super::other::B;"),
            (other, "struct B;"),
        ],
        &[(one, "use super::other::B;"), (other, "#[cfg(test)]\nmod tests { use super::super::one::A; }")],
        &[(one, "use super::other::B;"), (other, "pub(in crate::session::one) fn f() {}")],
        &[(one, "use super::other::B;"), (other, "use std::one::A; use tokio::session::one;")],
    ] {
        assert_eq!(found(fine), Vec::<String>::new(), "{fine:?}");
    }
}

#[test]
fn there_is_no_unsafe_code() {
    let workspace = workspace();
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).expect("the workspace's manifest");
    assert!(manifest.contains("unsafe_code = \"forbid\""), "the workspace does not forbid it");
    for package in ["rpc", "rpc-macros"] {
        let manifest = fs::read_to_string(workspace.join(package).join("Cargo.toml")).expect("a manifest");
        let (_, lints) = manifest.split_once("[lints]").expect("lints");
        assert!(lints.trim_start().starts_with("workspace = true"), "`{package}` has lints of its own");
        for (file, source) in sources(&workspace.join(package).join("src")) {
            let found = source.lines().find(|line| has_word(line, "unsafe"));
            assert_eq!(found, None, "{package}/src/{file}");
        }
    }
}

/// Clocks that are set, and clocks that tests cannot pause: time is tokio's (promise 9).
#[test]
fn time_is_tokios() {
    for (file, source) in sources(&workspace().join("rpc/src")) {
        assert_eq!(other_clock(&source), None, "rpc/src/{file}");
    }
}

/// The first statement or expression that names a clock of the standard library.
fn other_clock(source: &str) -> Option<String> {
    let code =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    code.split(';')
        .find(|statement| {
            let from_std = statement.contains("use std::") && has_word(statement, "Instant");
            from_std || has_word(statement, "SystemTime") || statement.contains("std::time::Instant")
        })
        .map(|statement| statement.trim().to_owned())
}

#[test]
fn another_clock_is_found() {
    for (source, found) in [
        ("use std::time::Instant;", true),
        ("use std::{\n    sync::Arc,\n    time::{Duration, Instant},\n};", true),
        ("let now = std::time::Instant::now();", true),
        ("use std::time::{SystemTime, UNIX_EPOCH};", true),
        ("use std::time::Duration;\nuse tokio::time::Instant;", false),
        ("// not std::time::Instant\nuse tokio::{sync::Notify, time::Instant};", false),
    ] {
        assert_eq!(other_clock(source).is_some(), found, "{source}");
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    // Within quotes it is a text: every other piece.
    let outside_quotes = code.split('"').step_by(2);
    outside_quotes
        .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .any(|found| found == word)
}

#[test]
fn the_word_unsafe_is_found_where_it_is_code() {
    for (line, found) in [
        ("unsafe { *pointer }", true),
        ("let x = f(\"text\", unsafe { g() });", true),
        ("    // not unsafe", false),
        ("let unsafe_code = \"unsafe\";", false),
    ] {
        assert_eq!(has_word(line, "unsafe"), found, "{line}");
    }
}
