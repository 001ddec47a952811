//! `/docs` and `/openapi.json`: the documentation, which works with no network. Nothing in it comes from elsewhere.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::{openapi, problems};

const GUIDE: &str = include_str!("assets/guide.html");
const PROBLEMS: &str = include_str!("assets/problems.html");
const STYLE: &str = include_str!("assets/style.css");

/// Scripts and styles from here alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
/// The API's browser runs scripts of its own and speaks with the API.
const BROWSER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The pages change with the version only, and don't know who reads them.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/openapi.json", get(description))
        .route("/docs", get(async || page("text/html; charset=utf-8", GUIDE.into(), POLICY)))
        .route("/docs/", get(async || Redirect::permanent("/docs")))
        .route("/docs/style.css", get(async || page("text/css; charset=utf-8", STYLE.into(), POLICY)))
        .route(
            "/docs/problems",
            get(async || page("text/html; charset=utf-8", explanations().into(), POLICY)),
        )
        .route("/docs/api", get(async || Redirect::permanent("/docs/api/")))
        .route("/docs/api/", get(async || browser("index.html")))
        .route("/docs/api/{*file}", get(async |Path(file): Path<String>| browser(&file)))
}

fn page(kind: &'static str, body: axum::body::Body, policy: HeaderValue) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, FRESH);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    (headers, body).into_response()
}

async fn description() -> Response {
    // Made when first asked for: few instances are ever asked.
    static TEXT: LazyLock<String> = LazyLock::new(openapi::text);
    page("application/json", TEXT.as_str().into(), POLICY)
}

/// The page that explains each problem's code, at the anchor of its name.
fn explanations() -> String {
    let mut rows = String::new();
    for kind in problems::all() {
        let (code, status) = (kind.code, kind.status);
        let (title, explanation) = (escape(kind.title), code_spans(&escape(kind.explanation)));
        // Codes are kebab-case and need no escaping.
        let _ = writeln!(
            rows,
            "<section id=\"{code}\"><h2><a href=\"#{code}\">{title}</a></h2>\
             <p class=\"code\">{status} <code>{code}</code></p><p>{explanation}</p></section>"
        );
    }
    PROBLEMS.replace("<!-- problems -->", &rows)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `code` in backticks as HTML has it.
fn code_spans(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        match i % 2 {
            0 => out.push_str(part),
            _ => {
                let _ = write!(out, "<code>{part}</code>");
            }
        }
    }
    out
}

/// A file of the API's browser (Swagger UI).
fn browser(file: &str) -> Response {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(
            Config::new(["/openapi.json"])
                .try_it_out_enabled(true)
                // Without the bar on top: its picture needs a style that the policy refuses, and there is one description.
                .use_base_layout()
                .persist_authorization(false)
                .validator_url("none"),
        )
    });
    match utoipa_swagger_ui::serve(file, CONFIG.clone()) {
        Ok(Some(found)) => {
            let mut response =
                page("text/html; charset=utf-8", found.bytes.into_owned().into(), BROWSER_POLICY);
            if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
                response.headers_mut().insert(CONTENT_TYPE, kind);
            }
            response
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => cqrs_http::Problem::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_takes_anything_from_elsewhere() {
        for text in [GUIDE, &explanations(), STYLE] {
            for outside in [
                "src=\"http",
                "href=\"http",
                "url(http",
                "src=\"//",
                "href=\"//",
                "@import",
                "<script",
                "style=\"",
            ] {
                assert!(!text.contains(outside), "{outside}");
            }
        }
    }

    #[test]
    fn the_problems_page_has_an_anchor_for_every_code() {
        let page = explanations();
        for kind in problems::all() {
            assert!(page.contains(&format!("id=\"{}\"", kind.code)), "{}", kind.code);
        }
        assert!(!page.contains('`') && !page.contains("<!-- problems -->"));
    }

    #[tokio::test]
    async fn the_api_s_browser_reads_the_description_from_here() {
        let script = browser("swagger-initializer.js");
        let body = axum::body::to_bytes(script.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("/openapi.json") && !text.contains("petstore"), "{text}");
        assert_eq!(browser("nothing.js").status(), StatusCode::NOT_FOUND);
    }
}
