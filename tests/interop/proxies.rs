//! SOCKS servers of Debian's, each at a port of its own on this machine: `danted`, `microsocks`, `ssh -D` and `tor`. They end with their values.
//!
//! `.ci/run` installs them. Where one is missing, the tests that need it fail.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use rpc::transport::socks::SocksProxy;
use tokio::{
    net::TcpStream,
    process::Child,
    time::{interval, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// One SOCKS server.
pub(crate) struct Server {
    port: u16,
    process: Child,
    dir: PathBuf,
}

impl Server {
    /// Versions 4 and 5, without credentials, from this machine to this machine.
    pub(crate) async fn dante() -> Self {
        Self::start("danted", |port, dir| {
            let config = dir.join("conf");
            let rules = format!(
                "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\nclientmethod: none\nsocksmethod: none\n\
                 client pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}\nsocks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n"
            );
            fs::write(&config, rules).expect("the directory is ours");
            let [config, pid] = [config, dir.join("pid")].map(|path| path.display().to_string());
            ["-f", &config, "-p", &pid].map(str::to_owned).to_vec()
        })
        .await
    }

    /// Version 5, with a user and a password if there is one.
    pub(crate) async fn microsocks(login: Option<(&str, &str)>) -> Self {
        Self::start("microsocks", |port, _| {
            let mut args = vec!["-i".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
            if let Some((user, password)) = login {
                args.extend(["-u", user, "-P", password].map(str::to_owned));
            }
            args
        })
        .await
    }

    /// Versions 4, 4a and 5, without credentials. The server that it logs in at is started by it, and talks to it through a pipe.
    pub(crate) async fn ssh() -> Self {
        Self::start("ssh", |port, dir| {
            let path = |name: &str| dir.join(name).display().to_string();
            for key in ["host", "key"] {
                let made = Command::new(program("ssh-keygen"))
                    .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)])
                    .status();
                assert!(made.expect("it starts").success(), "no key was made");
            }
            let config = format!(
                "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nUsePAM no\n",
                path("host"),
                path("key.pub")
            );
            fs::write(dir.join("conf"), config).expect("the directory is ours");
            let user = Command::new("id").arg("-un").output().expect("it starts").stdout;
            let user = String::from_utf8(user).expect("a name");
            let server = format!("ProxyCommand={} -i -e -f {}", program("sshd").display(), path("conf"));
            [
                ["-F", "none"],
                ["-i", &path("key")],
                ["-o", "StrictHostKeyChecking=no"],
                ["-o", "UserKnownHostsFile=/dev/null"],
                ["-o", "BatchMode=yes"],
                ["-o", "ExitOnForwardFailure=yes"],
                ["-o", &server],
                ["-D", &format!("127.0.0.1:{port}")],
                ["-N", &format!("{}@localhost", user.trim())],
            ]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
        })
        .await
    }

    /// Versions 4a and 5, with whatever credentials. The network that it would like to find does not exist, and it finds nobody.
    pub(crate) async fn tor() -> Self {
        Self::start("tor", |port, dir| {
            let config = format!(
                "SocksPort 127.0.0.1:{port} ExtendedErrors\nDataDirectory {}\nLog err stderr\nDirAuthority nobody orport=1 no-v2 \
                 v3ident=0000000000000000000000000000000000000001 127.0.0.1:1 0000000000000000000000000000000000000002\n",
                dir.join("data").display()
            );
            fs::write(dir.join("torrc"), config).expect("the directory is ours");
            vec!["-f".to_owned(), dir.join("torrc").display().to_string()]
        })
        .await
    }

    async fn start(name: &str, args: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        // Somebody may take the port before the server does.
        for _ in 0..5 {
            let dir = directory(name);
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
            let port = free.local_addr().expect("it is bound").port();
            let args = args(port, &dir);
            drop(free);
            let process = tokio::process::Command::new(program(name))
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn();
            let mut server = Self { port, process: process.expect("it starts"), dir };
            if timeout(PATIENCE, server.listens()).await.expect("it listens in time, or ends") {
                return server;
            }
        }
        panic!("`{name}` does not listen at any port: its own words are above");
    }

    /// Whether it listens, or has ended.
    async fn listens(&mut self) -> bool {
        // Not all of them say when they do.
        let mut tries = interval(Duration::from_millis(10));
        loop {
            tries.tick().await;
            if self.process.try_wait().expect("it is ours").is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                return true;
            }
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The proxy that it is, by the scheme of a URL.
    pub(crate) fn proxy(&self, scheme: &str) -> SocksProxy {
        SocksProxy::new(&format!("{scheme}://127.0.0.1:{}", self.port)).expect("a URL")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `danted` has children, which end with it only if it is asked to end.
        if let Some(pid) = self.process.id() {
            drop(Command::new("kill").arg(pid.to_string()).status());
        }
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Where Debian has it; servers are not on everybody's path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("`{name}` is missing: apt-get install dante-server microsocks openssh-client openssh-server tor")
        })
}

/// An empty directory that nobody else can read: keys are in it.
fn directory(name: &str) -> PathBuf {
    use std::os::unix::fs::DirBuilderExt;

    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Relaxed);
        let dir = std::env::temp_dir().join(format!("rpc-{name}-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return dir,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", dir.display()),
        }
    }
}
