//! `/` and `/console`: the web client and the operators' console, from files that the binary holds.
//!
//! The page is made at the start and always asked for anew; what it loads lies under a path that names the contents of all
//! files together, and may be kept for good. Files lie under that path as they lie in the repository, so that modules find
//! each other by the same relative paths in both.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

/// The pages, and the service worker, which has to lie beside them. A debug build reads these and all other files from their
/// folders, so that a change shows at the next reload.
#[derive(RustEmbed)]
#[folder = "../web/"]
#[prefix = "web/"]
#[include = "index.html"]
#[include = "console.html"]
#[include = "sw.js"]
struct Pages;

/// The web client.
#[derive(RustEmbed)]
#[folder = "../web/app/"]
#[prefix = "web/app/"]
struct App;

/// The operators' console, which shares parts of it.
#[derive(RustEmbed)]
#[folder = "../web/console/"]
#[prefix = "web/console/"]
struct Console;

/// What they take from others.
#[derive(RustEmbed)]
#[folder = "../web/vendor/"]
#[prefix = "web/vendor/"]
#[exclude = "*.d.ts"]
struct Vendor;

/// The client library, which the web client uses.
#[derive(RustEmbed)]
#[folder = "../clients/typescript/src/"]
#[prefix = "clients/typescript/src/"]
#[include = "*.js"]
struct Client;

/// A page, by its file.
#[derive(Debug, Clone, Copy)]
enum Page {
    Client,
    Console,
}

impl Page {
    fn file(self) -> &'static str {
        match self {
            Self::Client => "web/index.html",
            Self::Console => "web/console.html",
        }
    }

    /// Whether it loads a module, as far as is known beforehand: the rest is found by those that need it.
    fn loads(self, module: &str) -> bool {
        match self {
            Self::Client => !module.starts_with("web/console/"),
            Self::Console => !module.starts_with("web/app/"),
        }
    }
}

/// The service worker, which has to lie beside the page.
const WORKER: &str = "web/sw.js";
/// Where the page names the path of what it loads, and where it names every module, to be fetched at once.
const ASSETS: &str = "{assets}";
const MODULES: &str = "<!-- modules -->";

/// Scripts, styles, fonts and connections from here alone; no text ever becomes markup or script, not even by mistake. The one
/// policy of Trusted Types, `worker`, knows the address of the service worker and nothing else (`web/app/model/push.js`).
/// Pictures that people name aren't shown: whoever names one would learn who looked, from where and when.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types worker",
);
/// The service worker shows notifications: it needs nothing.
const WORKER_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
/// Kept, but asked after each time.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
/// A year, the longest that means anything (RFC 9111 §1.2.2 leaves it open; browsers take `immutable` at its word).
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The routes. Links in mails lead to the two beside `/`.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(async |request: Request| page(Page::Client, &request)))
        .route("/reset-password", get(async |request: Request| page(Page::Client, &request)))
        .route("/verify-email", get(async |request: Request| page(Page::Client, &request)))
        .route("/console", get(async |request: Request| page(Page::Console, &request)))
        .route("/console/", get(async || Redirect::permanent("/console")))
        .route("/sw.js", get(async || worker()))
        // What browsers ask for by themselves, on pages that name no picture.
        .route("/favicon.ico", get(async || icon()))
        .route(
            "/assets/{build}/{*file}",
            get(async |Path((build, file)): Path<(String, String)>| asset(&build, &file)),
        )
}

/// A file by its path in the repository.
fn file(path: &str) -> Option<EmbeddedFile> {
    App::get(path).or_else(|| Console::get(path)).or_else(|| Vendor::get(path)).or_else(|| Client::get(path))
}

fn paths() -> Vec<Cow<'static, str>> {
    let mut paths: Vec<_> =
        App::iter().chain(Console::iter()).chain(Vendor::iter()).chain(Client::iter()).collect();
    paths.sort();
    paths
}

static BUILD: LazyLock<RwLock<Arc<Build>>> = LazyLock::new(|| RwLock::new(Arc::new(Build::new())));

/// The pages, and the name of all that they load.
struct Build {
    name: String,
    client: Made,
    console: Made,
}

/// A page as it is sent.
struct Made {
    text: String,
    etag: HeaderValue,
}

impl Made {
    fn new(page: Page, assets: &str, paths: &[Cow<'static, str>]) -> Self {
        let mut modules = String::new();
        for path in paths.iter().filter(|path| is_module(path) && page.loads(path)) {
            modules.push_str("<link rel=\"modulepreload\" href=\"");
            modules.push_str(assets);
            modules.push('/');
            modules.push_str(path);
            modules.push_str("\">\n");
        }
        let template = Pages::get(page.file()).map(|file| file.data).unwrap_or_default();
        let text = String::from_utf8_lossy(&template).replace(ASSETS, assets).replace(MODULES, &modules);
        let etag =
            HeaderValue::try_from(format!("\"{}\"", name_of(blake3::Hasher::new().update(text.as_bytes()))));
        Self { text, etag: etag.unwrap_or(HeaderValue::from_static("\"\"")) }
    }
}

impl Build {
    fn new() -> Self {
        let paths = paths();
        let mut all = blake3::Hasher::new();
        for path in &paths {
            all.update(path.as_bytes());
            all.update(&file(path).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
        }
        let name = name_of(&all);
        let made = |page| Made::new(page, &format!("/assets/{name}"), &paths);
        let (client, console) = (made(Page::Client), made(Page::Console));
        Self { name, client, console }
    }

    /// What the newest page names.
    fn current() -> Arc<Self> {
        Arc::clone(&BUILD.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a page is to name: in a debug build whatever the files are now.
    fn newest() -> Arc<Self> {
        if cfg!(debug_assertions) {
            *BUILD.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Self::new());
        }
        Self::current()
    }
}

/// Half of the digest is more than enough to tell contents apart.
fn name_of(contents: &blake3::Hasher) -> String {
    contents.finalize().to_hex()[..32].to_owned()
}

fn is_module(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == "js")
}

fn page(page: Page, request: &Request) -> Response {
    let build = Build::newest();
    let made = match page {
        Page::Client => &build.client,
        Page::Console => &build.console,
    };
    let shared = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, REVALIDATED),
        (ETAG, made.etag.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (OPENER, HeaderValue::from_static("same-origin")),
    ];
    if request.headers().get_all(IF_NONE_MATCH).iter().any(|known| *known == made.etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let kind = (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (shared, [kind], made.text.clone()).into_response()
}

fn asset(build: &str, path: &str) -> Response {
    // What an older or newer process served under its name isn't this one's to give.
    if Build::current().name != build {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(found) = file(path) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(kind) = content_type(path) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, FOR_GOOD), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, found.data).into_response()
}

fn worker() -> Response {
    let Some(found) = Pages::get(WORKER) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = (CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    let headers = [kind, (CACHE_CONTROL, REVALIDATED), (CONTENT_SECURITY_POLICY, WORKER_POLICY)];
    (headers, found.data).into_response()
}

fn icon() -> Response {
    let Some(found) = file("web/app/icon.svg") else { return StatusCode::NOT_FOUND.into_response() };
    let kind = (CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    let headers = [kind, (CACHE_CONTROL, REVALIDATED), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, found.data).into_response()
}

/// The kinds of files that there are; others aren't served.
fn content_type(path: &str) -> Option<HeaderValue> {
    Some(HeaderValue::from_static(match path.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::HeaderMap;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str, known: Option<&HeaderValue>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        let response = routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// What the page loads.
    fn loaded(page: &str) -> Vec<String> {
        let named = page.split(['"']).filter(|text| text.starts_with("/assets/"));
        named.map(str::to_owned).collect()
    }

    /// PROOF.md 40.
    #[tokio::test]
    async fn security_40_the_policy_allows_nothing_unsafe_and_the_page_needs_nothing_of_the_kind() {
        for path in ["/", "/console"] {
            let (status, headers, page) = get(path, None).await;
            assert_eq!(status, StatusCode::OK);
            let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
            for wild in ["*", "http:", "https:", "blob:"] {
                assert!(!policy.contains(wild), "{policy}");
            }
            for forbidden in [
                "style=\"",
                " onload",
                " onclick",
                "<style",
                "<script>",
                "javascript:",
                "http://",
                "https://",
            ] {
                assert!(!page.contains(forbidden), "{forbidden} in {page}");
            }
        }
    }

    #[tokio::test]
    async fn all_that_the_pages_name_is_there_and_may_be_kept_for_good() {
        for (page, own, others) in
            [("/", "/web/app/", "/web/console/"), ("/console", "/web/console/", "/web/app/views/")]
        {
            let (_, _, page) = get(page, None).await;
            let loaded = loaded(&page);
            assert!(loaded.len() > 10, "{loaded:?}");
            for path in &loaded {
                let (status, headers, body) = get(path, None).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                assert!(headers[CACHE_CONTROL].to_str().unwrap().contains("immutable"), "{path}");
                assert!(!body.is_empty(), "{path}");
            }
            for part in ["/clients/typescript/src/index.js", own] {
                assert!(loaded.iter().any(|path| path.contains(part)), "{part}: {loaded:?}");
            }
            assert!(!loaded.iter().any(|path| path.contains(others)), "{others}: {loaded:?}");
        }
    }

    #[tokio::test]
    async fn the_page_is_asked_for_anew_and_not_sent_again() {
        let (_, headers, _) = get("/", None).await;
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        let (status, again, body) = get("/", Some(&headers[ETAG])).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(again[ETAG], headers[ETAG]);
    }

    #[tokio::test]
    async fn the_service_worker_lies_beside_the_page_and_is_asked_for_anew() {
        let (status, headers, worker) = get("/sw.js", None).await;
        assert_eq!(status, StatusCode::OK);
        assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/javascript"));
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        assert!(worker.contains("notificationclick"), "{worker}");
        // A module of the page that registers what isn't there would fail in browsers only.
        let push = file("web/app/model/push.js").unwrap();
        assert!(String::from_utf8_lossy(&push.data).contains("const WORKER = \"/sw.js\""));
    }

    #[tokio::test]
    async fn links_in_mails_lead_to_the_page() {
        let (_, _, page) = get("/", None).await;
        for path in ["/reset-password", "/verify-email"] {
            assert_eq!(get(path, None).await.2, page, "{path}");
        }
    }

    #[tokio::test]
    async fn what_isn_t_the_client_s_or_is_another_build_s_isn_t_served() {
        let (_, _, page) = get("/", None).await;
        let build = loaded(&page)[0].split('/').nth(2).unwrap().to_owned();
        for path in [
            "/assets/0123456789abcdef/web/app/main.js".to_owned(),
            format!("/assets/{build}/web/index.html"),
            format!("/assets/{build}/web/tests/package.json"),
            format!("/assets/{build}/Cargo.toml"),
            format!("/assets/{build}/web/../Cargo.toml"),
            format!("/assets/{build}/web/app/%2e%2e/%2e%2e/Cargo.toml"),
        ] {
            assert_eq!(get(&path, None).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
