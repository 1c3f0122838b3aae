//! Services with type parameters, conditions and supertraits.

use std::{collections::BTreeMap, fmt::Debug, sync::Mutex};

use rpc::{CallError, Caller, RpcError, rpc_service, testing};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What keys are. Its bounds reach whoever has the trait's.
trait Key: Ord + Clone + Debug + Send + Sync + 'static {}

impl<T: Ord + Clone + Debug + Send + Sync + 'static> Key for T {}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
#[error("no {key}")]
#[rpc(code = 1)]
struct NoSuchKey {
    key: String,
}

type Outcome<T> = Result<T, NoSuchKey>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Page<T> {
    entries: Vec<T>,
}

/// A name that means what it says on the other side, too.
trait Named {
    fn name(&self) -> String {
        "somebody".to_owned()
    }
}

#[rpc_service(namespace = "store")]
trait Store<K: Key, V>: Named
where
    V: Clone + PartialEq + Send + Sync + 'static,
    Self: Debug,
{
    async fn put(&self, key: K, value: &V) -> Option<V>;
    async fn get(&self, key: &K) -> Result<V, NoSuchKey>;
    async fn all(&self, #[rpc(rest)] keys: Vec<K>) -> Outcome<Vec<V>>;
    fn page(&self, #[rpc(default)] skip: usize) -> Page<(K, V)>;
    fn first(&self) -> Outcome<&V>;
    async fn has(&self, key: K, value: V) -> bool {
        tracing::trace!(who = self.name(), me = ?self);
        self.get(&key).await.is_ok_and(|found| found == value)
    }
}

#[derive(Debug)]
struct Memory<K, V> {
    entries: Mutex<BTreeMap<K, V>>,
    first: Option<V>,
}

impl<K, V> Named for Memory<K, V> {}

impl<K, V> Store<K, V> for Memory<K, V>
where
    K: Key,
    V: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    async fn put(&self, key: K, value: &V) -> Option<V> {
        self.entries.lock().expect("nobody panics").insert(key, value.clone())
    }
    async fn get(&self, key: &K) -> Result<V, NoSuchKey> {
        let entries = self.entries.lock().expect("nobody panics");
        entries.get(key).cloned().ok_or_else(|| NoSuchKey { key: format!("{key:?}") })
    }
    async fn all(&self, keys: Vec<K>) -> Outcome<Vec<V>> {
        let mut values = Vec::new();
        for key in &keys {
            values.push(self.get(key).await?);
        }
        Ok(values)
    }
    fn page(&self, skip: usize) -> Page<(K, V)> {
        let entries = self.entries.lock().expect("nobody panics");
        Page { entries: entries.iter().skip(skip).map(|(k, v)| (k.clone(), v.clone())).collect() }
    }
    fn first(&self) -> Outcome<&V> {
        self.first.as_ref().ok_or(NoSuchKey { key: "first".into() })
    }
}

/// Whoever is generic over the store can be so over its client.
async fn swap<K, V, C>(store: &StoreClient<K, V, C>, a: &K, b: &K) -> Result<(), CallError<NoSuchKey>>
where
    K: Key + Serialize + DeserializeOwned,
    V: Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static,
    C: Caller,
{
    let (at_a, at_b) = (store.get(a).await?, store.get(b).await?);
    for (key, value) in [(a, at_b), (b, at_a)] {
        store.put(key.clone(), &value).await.expect("it cannot fail by itself");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_may_be_generic() {
    let memory = Memory { entries: Mutex::default(), first: Some(5) };
    let server = StoreServer::<String, u8, _>::new(memory);
    let (session, _peer) = testing::pair((), server.clone());
    let store = StoreClient::<String, u8>::from(session);

    assert_eq!(store.put("a".into(), &1).await.expect("put"), None);
    assert_eq!(store.put("b".into(), &2).await.expect("put"), None);
    swap(&store, &"a".into(), &"b".into()).await.expect("both are there");
    assert_eq!(store.get(&"a".into()).await.expect("get"), 2);
    assert_eq!(store.all(vec!["a".into(), "b".into()]).await.expect("all"), [2, 1]);
    assert_eq!(store.page(1).await.expect("page"), Page { entries: vec![("b".into(), 1)] });
    assert_eq!(store.first().await.expect("first"), 5);
    assert!(store.clone().has("a".into(), 2).await.expect("has"));
    match store.all(vec!["c".into()]).await {
        Err(CallError::Service(error)) => assert_eq!(error, NoSuchKey { key: "\"c\"".into() }),
        other => panic!("the alias of a result is one: {other:?}"),
    }
    assert_eq!(format!("{server:?}"), "StoreServer { .. }");
    assert!(format!("{store:?}").starts_with("StoreClient { caller: Session"));
}

#[derive(Debug)]
struct Fixed;

impl Named for Fixed {}

/// For one choice of parameters only: then nothing needs to be said about them.
impl Store<u8, bool> for Fixed {
    async fn put(&self, _: u8, _: &bool) -> Option<bool> {
        None
    }
    async fn get(&self, _: &u8) -> Result<bool, NoSuchKey> {
        Ok(true)
    }
    async fn all(&self, keys: Vec<u8>) -> Outcome<Vec<bool>> {
        Ok(keys.iter().map(|key| *key > 0).collect())
    }
    fn page(&self, _: usize) -> Page<(u8, bool)> {
        Page { entries: Vec::new() }
    }
    fn first(&self) -> Outcome<&bool> {
        Ok(&true)
    }
}

#[tokio::test]
async fn an_implementation_says_what_the_parameters_are() {
    let (session, _peer) = testing::pair((), StoreServer::new(Fixed));
    let store: StoreClient<u8, bool> = session.into();
    assert_eq!(store.all(vec![0, 1]).await.expect("all"), [false, true]);
    assert_eq!(StoreServer::<u8, bool, Fixed>::METHODS[1].name(), "store_get");
}

#[rpc_service]
trait Matrix<const N: usize, T = f64>
where
    T: Copy + Send + Sync + 'static,
{
    fn diagonal(&self, rows: Vec<[T; 3]>) -> Vec<T>;
    fn size(&self) -> usize {
        N
    }
    fn try_size(&self) -> Result<[u8; 1], NoSuchKey> {
        u8::try_from(N).map(|size| [size]).map_err(|_| NoSuchKey { key: N.to_string() })
    }
}

struct Plain;

impl<const N: usize> Matrix<N> for Plain {
    fn diagonal(&self, rows: Vec<[f64; 3]>) -> Vec<f64> {
        rows.iter().enumerate().map(|(i, row)| row[i]).collect()
    }
}

#[tokio::test]
async fn constants_and_defaults_are_parameters_too() {
    let (session, _peer) = testing::pair((), MatrixServer::<3, f64, _>::new(Plain));
    let matrix: MatrixClient<3> = session.into();
    assert_eq!(matrix.diagonal(vec![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).await.expect("diagonal"), [1.0, 5.0]);
    assert_eq!(matrix.size().await.expect("size"), 3);
    assert_eq!(matrix.try_size().await.expect("size"), [3]);
}
