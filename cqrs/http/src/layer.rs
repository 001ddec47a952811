//! What goes around all routes.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::CatchUnwind;
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::instrument::{Instrument as _, Instrumented};

use crate::answer::NO_STORE;
use crate::options::HttpOptions;
use crate::problem::Problem;
use crate::request::{RequestInfo, X_REQUEST_ID};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Puts around all of a process's routes what each of them needs, once:
///
/// - a request id, taken from `X-Request-Id` or made, in the log and in the response; a correlation id, from
///   `traceparent` where there is one ([`RequestInfo`]);
/// - a problem document for whatever fails: routes and methods that don't exist, extractors of axum's own, panics. What
///   the client must not see is logged here, once;
/// - `Cache-Control: no-store` unless the route says otherwise, and `X-Content-Type-Options: nosniff`;
/// - a bound for the bodies that axum's own extractors read;
/// - a span named by the route's template, `http_requests_total` and `http_request_seconds`.
///
/// Routes added to the router afterwards have none of it.
pub fn layer<S: Clone + Send + Sync + 'static>(router: Router<S>, options: &HttpOptions) -> Router<S> {
    router.layer(EdgeLayer(Arc::new(options.clone())))
}

#[derive(Clone)]
struct EdgeLayer(Arc<HttpOptions>);

impl<S> Layer<S> for EdgeLayer {
    type Service = Around<S>;
    fn layer(&self, inner: S) -> Around<S> {
        Around { inner, options: self.0.clone() }
    }
}

#[derive(Clone)]
struct Around<S> {
    inner: S,
    options: Arc<HttpOptions>,
}

impl<S> Service<Request> for Around<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let info = RequestInfo::new(request.headers(), request.extensions(), &self.options);
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = known(request.method());
        let span = tracing::info_span!(
            "request",
            method,
            route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str),
            request_id = &*info.id,
            correlation = %info.correlation,
            parent = tracing::field::Empty,
            status = tracing::field::Empty,
        );
        if let Some(parent) = info.parent {
            span.record("parent", tracing::field::display(parent));
        }
        request.extensions_mut().insert(info.clone());
        DefaultBodyLimit::max(self.options.max_body).apply(&mut request);
        let asked = Asked { info, route, method, options: self.options.clone() };
        let inner = AssertUnwindSafe(self.inner.call(request)).catch_unwind().instrument(span);
        Answering { inner, asked: Some(asked) }
    }
}

/// What the answer needs to know of the request.
struct Asked {
    info: RequestInfo,
    route: Option<MatchedPath>,
    method: &'static str,
    options: Arc<HttpOptions>,
}

pin_project! {
    struct Answering<F> {
        #[pin]
        inner: Instrumented<CatchUnwind<AssertUnwindSafe<F>>>,
        asked: Option<Asked>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answering<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = ready!(this.inner.as_mut().poll(cx));
        let asked = this.asked.take().expect("a future isn't polled after it is done");
        let span = this.inner.span().clone();
        Poll::Ready(Ok(span.in_scope(|| asked.finish(result))))
    }
}

impl Asked {
    fn finish(self, result: Result<Result<Response, Infallible>, Box<dyn Any + Send>>) -> Response {
        let mut response = match result {
            Ok(Ok(response)) => response,
            Err(panic) => {
                let mut response = Response::default();
                response.extensions_mut().insert(Problem::internal(panicked(&*panic)));
                response
            }
        };
        let problem = response.extensions_mut().remove::<Problem>();
        if let Some(problem) = problem.or_else(|| unexplained(&response)) {
            if let Some(cause) = problem.cause() {
                let (code, request_id) = (problem.code(), &*self.info.id);
                tracing::error!(code, request_id, route = self.route(), cause, "a request failed");
            }
            problem.write(&mut response, &self.options.problems, Some(&self.info.id));
        }
        let status = response.status();
        let headers = response.headers_mut();
        // The id is either made of such characters or was checked to be.
        if let Ok(id) = HeaderValue::from_str(&self.info.id) {
            headers.insert(X_REQUEST_ID, id);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
        self.measure(status);
        response
    }

    fn measure(&self, status: StatusCode) {
        let (route, method, taken) = (self.route().to_owned(), self.method, self.info.started.elapsed());
        tracing::Span::current().record("status", status.as_u16());
        tracing::debug!(status = status.as_u16(), micros = taken.as_micros() as u64, "answered");
        metrics::histogram!("http_request_seconds", "route" => route.clone(), "method" => method)
            .record(taken.as_secs_f64());
        let status = status.as_str().to_owned();
        metrics::counter!("http_requests_total", "route" => route, "method" => method, "status" => status)
            .increment(1);
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }
}

/// In place of the template, where no route matched: paths as they come would make labels without end.
const UNMATCHED: &str = "unmatched";

/// The problem of a failure that nobody explained: axum's own answers to unknown routes and methods, and those of its
/// extractors. An answer with a media type of its own other than plain text explains itself.
fn unexplained(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let plain = |value: &HeaderValue| value.as_bytes().starts_with(b"text/plain");
    if !response.headers().get(CONTENT_TYPE).is_none_or(plain) {
        return None;
    }
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("not-found", "there is no such resource"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method-not-allowed", "the resource doesn't know this method; see Allow")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("payload-too-large", "the body is larger than this instance takes"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "the body must be application/json"),
        StatusCode::UNPROCESSABLE_ENTITY => {
            ("invalid-value", "the request is well-formed and not acceptable")
        }
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "not available at the moment; try again"),
        status if status.is_client_error() => ("bad-request", "the request can't be understood"),
        status => return Some(Problem::internal(format!("answered {status} without saying why"))),
    };
    Some(Problem::new(status, code, detail))
}

/// The method as a label: made-up ones would make labels without end.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", message.unwrap_or("without a message"))
}
