//! A process of its own, made from the test executable: it runs one test, which is otherwise ignored.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{self, ChildStdout, Command, Stdio},
};

const MARK: &str = "RPC_TESTS_CHILD";

/// Whether this process was started by [`Child::run`] or [`Child::start`]: what a child's test asks before it does anything.
pub fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// A process under way. It is killed when it is dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a process that runs the ignored test `test`, with an argument for it that it finds in the environment.
    pub fn start(test: &str, argument: (&str, &str)) -> Self {
        let mut process = Command::new(env::current_exe().expect("this executable has a path"))
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(MARK, "1")
            .env(argument.0, argument.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process is started");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, stdout }
    }

    /// Runs such a test to its end, which must be a good one.
    pub fn run(test: &str) {
        let mut child = Self::start(test, (MARK, "1"));
        let printed: Vec<String> = (&mut child.stdout).lines().map_while(Result::ok).collect();
        let status = child.process.wait().expect("it ends");
        let ran = printed.iter().any(|line| line.contains("1 passed"));
        assert!(status.success() && ran, "the process of `{test}` failed: {printed:#?}");
    }

    /// What follows `key` on the first line that has it.
    pub fn printed(&mut self, key: &str) -> String {
        for line in (&mut self.stdout).lines() {
            if let Some((_, value)) = line.expect("it prints text").split_once(key) {
                return value.trim().to_owned();
            }
        }
        panic!("the process ended and did not print `{key}`");
    }

    /// Ends it at once (SIGKILL where there are signals): it has no time to say goodbye.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

/// How often a soak test does what it does: `usually`, unless `RPC_TESTS_ROUNDS` says another number.
pub fn soak_rounds(usually: usize) -> usize {
    env::var("RPC_TESTS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usually)
}
