//! Servers that webhooks' messages are sent to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a receiver took: the message's id, and what it tells of.
pub type Taken = Vec<(String, Value)>;

/// Takes messages until it is dropped.
pub struct Receiver {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    taken: Mutex<Taken>,
    asked: AtomicUsize,
    refuses_every: usize,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// One without TLS that refuses each so manieth message once; none for 0.
    pub async fn plain(refuses_every: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        Self::on(listener, url, refuses_every)
    }

    /// One with a certificate for `localhost`, as it lies in `folder` ([`certificate`]).
    pub async fn secure(folder: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("receiver.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("receiver.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key);
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://localhost:{}/hook", tcp.local_addr().unwrap().port());
        Self::on(Secure { tcp, tls: TlsAcceptor::from(Arc::new(config.unwrap())) }, url, 0)
    }

    fn on<L: Listener<Addr = SocketAddr>>(listener: L, url: String, refuses_every: usize) -> Self {
        let shared = Arc::new(Shared { taken: Mutex::default(), asked: AtomicUsize::new(0), refuses_every });
        let router = Router::new().fallback(take).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it took so far.
    pub fn taken(&self) -> Taken {
        self.shared.taken.lock().unwrap().clone()
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let asked = shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
    if shared.refuses_every > 0 && asked.is_multiple_of(shared.refuses_every) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    shared.taken.lock().unwrap().push((id, body));
    StatusCode::NO_CONTENT
}

/// Makes an authority and a certificate of its for `localhost`; gives where the authority's is (PEM).
pub fn certificate(folder: &Path) -> PathBuf {
    let make = |name: &str, subject: &str, more: &[&str]| {
        let done = Command::new("openssl")
            .current_dir(folder)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", subject, "-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.crt")])
            .args(more)
            .output()
            .expect("OpenSSL's command line is needed for the receivers' certificates");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    make("authority", "/CN=Authority of receivers", &["-addext", "keyUsage=critical,keyCertSign"]);
    let signed = ["-CA", "authority.crt", "-CAkey", "authority.key"];
    let of = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
    make("receiver", "/CN=localhost", &[signed, of].concat());
    folder.join("authority.crt")
}

/// Accepts connections with TLS; those that don't come to be are passed over.
struct Secure {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, from)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
