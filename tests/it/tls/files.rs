//! Files that do not hold what they should: the error says which, and what is wrong.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use rpc::transport::tls::{Certificates, Identity, TlsClient, TlsError, TlsPart};
use rpc_tests::{Authority, Issued};

/// A directory that is gone when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("rpc-tests-tls-{name}-{}", process::id()));
        fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn with(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), contents).expect("it is written");
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn error(chain: &Path, key: &Path) -> TlsError {
    Identity::from_pem_files(chain, key).expect_err("something is wrong")
}

#[test]
fn the_error_names_the_file_and_what_is_wrong_with_it() {
    let directory = Scratch::new("files");
    let issued = Issued::by_itself(&["localhost"]);
    let (pem, key_pem) = (issued.certificate.pem(), issued.key.serialize_pem());
    let (chain, key) = (directory.with("chain.pem", &pem), directory.with("key.pem", &key_pem));
    let other = directory.with("other.pem", Issued::by_itself(&["localhost"]).key.serialize_pem());
    let both = directory.with("both.pem", format!("{key_pem}{pem}"));
    Identity::from_pem_files(&chain, &key).expect("nothing is wrong");
    Identity::from_pem_files(&both, &both).expect("one file may hold both");

    let absent = directory.path("absent.pem");
    let told = rpc::chain(&error(&absent, &key)).to_string();
    assert!(
        told.starts_with(&format!("cannot read the certificate from `{}`: ", absent.display())),
        "{told}"
    );
    let told = rpc::chain(&error(&chain, &absent)).to_string();
    assert!(
        told.starts_with(&format!("cannot read the private key from `{}`: ", absent.display())),
        "{told}"
    );

    let (chain_name, key_name) = (format!("`{}`", chain.display()), format!("`{}`", key.display()));
    assert_eq!(error(&key, &key).to_string(), format!("there is no certificate in {key_name}"));
    assert_eq!(error(&chain, &chain).to_string(), format!("there is no private key in {chain_name}"));
    assert_eq!(
        rpc::chain(&error(&chain, &other)).to_string(),
        format!(
            "the private key in `{}` does not belong to the first certificate in {chain_name}",
            other.display()
        )
    );

    let cut = directory.with("cut.pem", &pem[..pem.len() / 2]);
    assert_eq!(
        rpc::chain(&error(&cut, &key)).to_string(),
        format!(
            "the certificate in `{}` cannot be used: the line `-----END CERTIFICATE-----` is missing",
            cut.display()
        )
    );
    let damaged = directory.with("damaged.pem", key_pem.replacen("M", "!", 1));
    assert_eq!(
        rpc::chain(&error(&chain, &damaged)).to_string(),
        format!("the private key in `{}` cannot be used: it is not written in base64", damaged.display())
    );
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let rubbish = directory.with("rubbish.pem", rubbish);
    assert_eq!(
        rpc::chain(&error(&rubbish, &key)).to_string(),
        format!("the certificate in `{}` cannot be used: it is no X.509 certificate", rubbish.display())
    );
    let bad_key = "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n";
    let bad_key = directory.with("bad_key.pem", bad_key);
    let told = rpc::chain(&error(&chain, &bad_key)).to_string();
    assert!(
        told.starts_with(&format!("the private key in `{}` cannot be used: ", bad_key.display())),
        "{told}"
    );

    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = directory.with("encrypted.pem", encrypted);
    assert_eq!(
        error(&chain, &encrypted).to_string(),
        format!(
            "there is no private key in `{}`: there is an encrypted one, which has to be decrypted first",
            encrypted.display()
        )
    );
}

#[test]
fn a_secret_is_in_no_text() {
    let issued = Issued::by_itself(&["localhost"]);
    let key = issued.key.serialize_pem();
    let body = key.lines().nth(1).expect("a line of it");
    let shown = format!("{:?}", issued.identity());
    assert!(!shown.contains(body), "{shown}");

    // A line that was joined to the one that begins the section.
    let broken = key.replacen("-----\n", "-----", 1);
    let error = Identity::from_pem(issued.certificate.pem(), broken).expect_err("it is damaged");
    assert!(!format!("{error} {error:?}").contains(body), "{error:?}");
}

#[test]
fn a_root_that_is_none_is_named_by_its_number() {
    let authority = Authority::new();
    let pem = authority.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = TlsClient::with_roots(Certificates::from_pem(pem).expect("two")).expect_err("one is none");
    let told = rpc::chain(&error).to_string();
    assert!(
        told.starts_with("the certificate in the PEM that was given (number 2 of 2) cannot be used: "),
        "{told}"
    );
}

#[test]
fn nobody_is_trusted_by_an_empty_list() {
    let none = || Certificates::from_der(Vec::<Vec<u8>>::new());
    let server = Issued::by_itself(&["localhost"]).server();
    for error in [
        TlsClient::with_roots(none()).expect_err("no roots"),
        TlsClient::pinned(none()).expect_err("nothing pinned"),
        server.clone().require_client_certificates(none()).expect_err("no roots"),
        server.request_client_certificates(none()).expect_err("no roots"),
        Identity::from_der(none(), Vec::new()).expect_err("no certificate"),
    ] {
        let TlsError::Missing { part: TlsPart::Certificate, .. } = error else {
            // Of an identity the key is looked at first.
            assert!(matches!(error, TlsError::Unusable { part: TlsPart::PrivateKey, .. }), "{error:?}");
            continue;
        };
    }
}
