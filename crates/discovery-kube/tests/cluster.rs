//! A watch over a real API server, by an account that may do what docs/cluster.md says and no more: `make test-kube`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use discovery_kube::{Service, addresses};
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

const NAMESPACE: &str = "default";
const TIME_MAX: Duration = Duration::from_secs(40);

async fn administrator() -> Config {
    let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    config.expect("KUBECONFIG, as tests/kube/with-api sets it")
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A client of an account that may list and watch `EndpointSlices`.
async fn watcher(administrator: &Client) -> Client {
    let account = json!({"metadata": {"name": "throng"}});
    let accounts: Api<ServiceAccount> = Api::namespaced(administrator.clone(), NAMESPACE);
    accounts.create(&PostParams::default(), &typed(account)).await.unwrap();
    let role = json!({"metadata": {"name": "throng-discovery"}, "rules": [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]});
    let roles: Api<Role> = Api::namespaced(administrator.clone(), NAMESPACE);
    roles.create(&PostParams::default(), &typed(role)).await.unwrap();
    let binding = json!({
        "metadata": {"name": "throng-discovery"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "throng-discovery"},
        "subjects": [{"kind": "ServiceAccount", "name": "throng", "namespace": NAMESPACE}],
    });
    let bindings: Api<RoleBinding> = Api::namespaced(administrator.clone(), NAMESPACE);
    bindings.create(&PostParams::default(), &typed(binding)).await.unwrap();

    let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let granted = accounts.create_token_request("throng", &PostParams::default(), &request).await.unwrap();
    let mut config = self::administrator().await;
    let token = granted.status.unwrap().token.unwrap();
    config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    Client::try_from(config).unwrap()
}

fn slice(name: &str, service: &str, endpoints: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "grpc", "port": 5290}],
    })
}

async fn apply(slices: &Api<EndpointSlice>, slice: Value) {
    let name = slice["metadata"]["name"].as_str().unwrap().to_owned();
    let parameters = PatchParams::apply("test").force();
    slices.patch(&name, &parameters, &Patch::Apply(slice)).await.unwrap();
}

/// Waits until these are the addresses: what happens together may be seen in steps.
async fn until(mut seen: impl Stream<Item = Vec<String>> + Unpin, wanted: &[&str]) {
    let mut last = Vec::new();
    let found = async {
        while last != wanted {
            last = seen.next().await.unwrap();
        }
    };
    let found = tokio::time::timeout(TIME_MAX, found).await;
    assert!(found.is_ok(), "{last:?} is not {wanted:?}");
}

fn control(what: &str) {
    let program = std::env::var_os("KUBE_CTL").expect("KUBE_CTL, as tests/kube/with-api sets it");
    assert!(Command::new(program).arg(what).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kubernetes API server: make test-kube"]
async fn endpoints_come_and_go_while_the_api_server_lives_and_dies() {
    let administrator = Client::try_from(administrator().await).unwrap();
    let slices: Api<EndpointSlice> = Api::namespaced(administrator.clone(), NAMESPACE);
    let one = json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]);
    apply(&slices, slice("owners-1", "owners", &one)).await;
    apply(&slices, slice("others-1", "others", &one)).await;
    let client = watcher(&administrator).await;
    let service = Service { namespace: NAMESPACE.into(), name: "owners".into(), port: "grpc".into() };
    let mut seen = pin!(addresses(client, service));

    until(&mut seen, &["10.0.0.1:5290"]).await;
    let two =
        json!([{"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}]);
    apply(&slices, slice("owners-2", "owners", &two)).await;
    until(&mut seen, &["10.0.0.1:5290", "10.0.0.2:5290"]).await;
    let now_ready = json!([{"addresses": ["10.0.0.3"], "conditions": {"ready": true}}]);
    apply(&slices, slice("owners-2", "owners", &now_ready)).await;
    until(&mut seen, &["10.0.0.1:5290", "10.0.0.3:5290"]).await;

    control("kill");
    let nothing = tokio::time::timeout(Duration::from_secs(2), seen.next()).await;
    assert!(nothing.is_err(), "nobody is gone: {nothing:?}");
    control("start");
    slices.delete("owners-1", &DeleteParams::default()).await.unwrap();
    until(&mut seen, &["10.0.0.3:5290"]).await;
    slices.delete("owners-2", &DeleteParams::default()).await.unwrap();
    until(&mut seen, &[]).await;
}
