"""The pages for users."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import uuid
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException

from .kratos import FlowGoneError, Kratos, KratosDownError, Session
from .metrics import Metrics
from .orders import ITEMS, PRICES, Orders
from .payments import CARDS, ActionError, DeclinedError, NotPayableError, PaymentError, Payments
from .settings import Settings

router = APIRouter()
logger = logging.getLogger("portal.pages")

FLOWS = {
    "login": "Log in",
    "registration": "Create your account",
    "verification": "Verify your address",
    "recovery": "Recover your account",
    "settings": "Account settings",
}


UNPAID: dict[type[PaymentError], int] = {DeclinedError: 402, ActionError: 402, NotPayableError: 409}
"""The status of a response if an order isn't paid; otherwise, the provider is at fault: 503."""


def cookie(request: Request) -> str:
    """Return the request's Cookie header."""
    return request.headers.get("cookie", "")


def find_session(request: Request) -> Session | None:
    """Return the session of the request, or None."""
    kratos: Kratos = request.app.state.kratos
    return kratos.session(cookie(request))


def need_session(request: Request) -> Session:
    """Return the session, or end the request: browsers are redirected to the login, others get a 401."""
    session = find_session(request)
    if session is None:
        # A browser that requests a page can follow a redirect to the login. A program or a form can't.
        if request.method == "GET" and wants_page(request):
            kratos: Kratos = request.app.state.kratos
            raise HTTPException(HTTPStatus.SEE_OTHER, headers={"Location": kratos.login_url(cookie(request))})
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "Log in first.")
    return session


Person = Annotated[Session, Depends(need_session)]


def form_tokens(settings: Settings, session: Session) -> list[str]:
    """Return the valid form tokens of this session; the first one is for new forms.

    They protect against cross-site request forgery. Kratos' forms have their own tokens.
    """
    return [
        hmac.new(key.encode(), f"orders:{session.id}".encode(), hashlib.sha256).hexdigest()
        for key in settings.csrf_keys
    ]


def need_own_form(request: Request, session: Person, form_token: Annotated[str, Form()] = "") -> None:
    """End the request unless its form token is valid for this session."""
    known = form_tokens(request.app.state.settings, session)
    if not any(hmac.compare_digest(form_token.encode(), token.encode()) for token in known):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This form has expired or is from another session. Reload the page.")


OwnForm = Depends(need_own_form)


def wants_page(request: Request) -> bool:
    """Whether the client is a browser."""
    return "text/html" in request.headers.get("accept", "")


def euros(cents: int) -> str:
    """Format an amount in euros."""
    return f"{cents / 100:.2f}"


def page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """Render a page. Pages depend on the user, so no cache may store them."""
    if session := context.get("session"):
        context["form_token"] = form_tokens(request.app.state.settings, session)[0]
    response: Response = request.app.state.templates.TemplateResponse(request, template, context, status_code=status)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/")
def index(request: Request) -> Response:
    """Show environment, slot, release and toggles; works even without the database and Kratos."""
    session, notice = None, ""
    try:
        session = find_session(request)
    except KratosDownError:
        notice = "Login is not possible at the moment. Try again in a few minutes."
    return page(request, "index.html", session=session, notice=notice)


@router.get("/session")
def session_state(request: Request) -> JSONResponse:
    """Return the logged-in user, and the slot that handled the request."""
    settings: Settings = request.app.state.settings
    session = find_session(request)
    answer: dict[str, object] = {"authenticated": session is not None, "slot": settings.slot}
    if session is not None:
        answer |= {"email": session.email, "identity": session.identity, "verified": session.verified}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def show_flow(request: Request, flow: str = "") -> Response:
    """Show one of Kratos' self-service flows; its forms are sent to Kratos."""
    kratos: Kratos = request.app.state.kratos
    kind = request.url.path.strip("/")
    own = cookie(request)
    try:
        found = kratos.flow(kind, flow, own) if flow else None
    except FlowGoneError:
        found = None
    if found is None:
        url = kratos.login_url(own) if kind == "login" else f"/self-service/{kind}/browser"
        return RedirectResponse(url, HTTPStatus.SEE_OTHER)
    session = find_session(request)
    # Someone who can't enter the second factor must be able to log in as someone else.
    leave = kratos.logout_url(own) if found.get("requested_aal") == "aal2" else None
    return page(request, "flow.html", kind=kind, title=FLOWS[kind], flow=found, session=session, leave=leave)


for kind in FLOWS:
    router.add_api_route(f"/{kind}", show_flow, methods=["GET"], name=kind)


@router.get("/error")
def kratos_error(request: Request, id: str = "") -> Response:
    """Show why Kratos ended a flow."""
    kratos: Kratos = request.app.state.kratos
    reason = kratos.error(id) if id else "No details are available."
    return page(request, "error.html", title="Something went wrong", reason=reason)


@router.post("/logout", dependencies=[OwnForm])
def logout(request: Request) -> Response:
    """Redirect the browser to Kratos, which ends the session."""
    kratos: Kratos = request.app.state.kratos
    return RedirectResponse(kratos.logout_url(cookie(request)) or "/", HTTPStatus.SEE_OTHER)


@router.post("/account/delete", dependencies=[OwnForm])
def delete_account(request: Request, session: Person) -> Response:
    """Delete an account: orders first, so that after a failure in between, the user can log in and try again."""
    orders: Orders = request.app.state.orders
    kratos: Kratos = request.app.state.kratos
    if not session.recent:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Your last login was too long ago. Log out, log in, and try again.")
    orders.forget(session.identity)
    kratos.forget(session.identity)
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


@router.get("/orders")
def list_orders(request: Request, session: Person) -> Response:
    """Show a user's orders as a page, or as JSON for a program."""
    orders: Orders = request.app.state.orders
    payments: Payments | None = request.app.state.payments
    found = orders.of(session.identity)
    paid = payments.of(session.identity) if payments else {}
    if not wants_page(request):
        listed = [
            {"id": str(order.id), "item": order.item, "state": order.state, "total": euros(order.total_cents)}
            | ({"payment": {"state": its.state, "notified": its.notified_at is not None}} if its else {})
            for order in found
            for its in [paid.get(order.id)]
        ]
        return JSONResponse({"orders": listed})
    context: dict[str, Any] = {
        "cards": CARDS if payments else {},
        "payments": paid,
        "prices": PRICES,
        "notes": orders.notes,
    }
    return page(request, "orders.html", session=session, orders=found, **context)


@router.post("/orders", dependencies=[OwnForm])
def create_order(
    request: Request,
    session: Person,
    item: Annotated[str, Form()],
    quantity: Annotated[int, Form(ge=1, le=99)] = 1,
    note: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Create an order."""
    orders: Orders = request.app.state.orders
    settings: Settings = request.app.state.settings
    if item not in ITEMS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"Unknown item. Available: {', '.join(ITEMS)}.")
    if not settings.options.features.new_checkout:
        quantity = 1
    identifier = orders.create(session.identity, session.email, item, quantity, note.strip())
    request.app.state.metrics.orders.inc()
    if request.app.state.payments is None:
        request.app.state.metrics.checkouts.inc()
    request.state.log["order"] = str(identifier)
    return RedirectResponse(f"/orders#order-{identifier}", HTTPStatus.SEE_OTHER)


@router.post("/orders/{identifier}/cancel", dependencies=[OwnForm])
def cancel_order(request: Request, session: Person, identifier: uuid.UUID) -> Response:
    """Cancel an open order, or refund and cancel a paid one."""
    orders: Orders = request.app.state.orders
    payments: Payments | None = request.app.state.payments
    if payments:
        payments.settle(session.identity, identifier)
        if payments.refund(session.identity, identifier):
            return RedirectResponse("/orders", HTTPStatus.SEE_OTHER)
    if not orders.cancel(session.identity, identifier):
        raise HTTPException(HTTPStatus.NOT_FOUND, "This order doesn't exist, or it can't be canceled anymore.")
    return RedirectResponse("/orders", HTTPStatus.SEE_OTHER)


@router.post("/orders/{identifier}/pay", dependencies=[OwnForm])
def pay_order(request: Request, session: Person, identifier: uuid.UUID, card: Annotated[str, Form()]) -> Response:
    """Pay an open order with a test card."""
    payments = need_payments(request)
    metrics: Metrics = request.app.state.metrics
    if card not in CARDS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"Unknown test card. Available: {', '.join(CARDS)}.")
    request.state.log["order"] = str(identifier)
    try:
        payments.pay(session.identity, identifier, card)
    except PaymentError as error:
        metrics.payments.labels(error.outcome).inc()
        request.state.log["payment"] = error.outcome
        raise
    metrics.payments.labels("paid").inc()
    metrics.checkouts.inc()
    return RedirectResponse(f"/orders#order-{identifier}", HTTPStatus.SEE_OTHER)


def need_payments(request: Request) -> Payments:
    """Return the payments, or end the request if they are off."""
    payments: Payments | None = request.app.state.payments
    if payments is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "Orders can't be paid here.")
    return payments


async def read_body(request: Request) -> bytes:
    """Return the body as it was sent, which the signature is for."""
    return await request.body()


@router.post("/payments/webhook")
def take_webhook(
    request: Request, body: Annotated[bytes, Depends(read_body)], stripe_signature: Annotated[str, Header()] = ""
) -> dict[str, str]:
    """Take what the payment provider says; it sends this again until the response is a success."""
    payments = need_payments(request)
    try:
        payments.verify(body, stripe_signature)
        event = json.loads(body)
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "This is not signed by the payment provider.") from None
    outcome = payments.notice(event)
    request.state.log |= {"event": event["type"], "outcome": outcome}
    return {"outcome": outcome}


def handle_errors(app: FastAPI) -> None:
    """Respond to errors with a page for browsers, and JSON for programs."""

    def failure(request: Request, status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
        if status < 400:
            return Response(status_code=status, headers=headers)
        if not wants_page(request):
            return JSONResponse({"detail": reason}, status, headers)
        response = page(request, "error.html", status, title=HTTPStatus(status).phrase, reason=reason)
        response.headers.update(headers or {})
        return response

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        headers = dict(error.headers) if error.headers else None
        return failure(request, error.status_code, str(error.detail), headers)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        reason = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        return failure(request, 422, reason)

    def kratos_down(request: Request, error: Exception) -> Response:
        return unavailable(request, "Kratos", str(error), "Accounts are unavailable at the moment.")

    def database_down(request: Request, error: Exception) -> Response:
        return unavailable(request, "database", type(error).__name__, "Orders are unavailable at the moment.")

    def unavailable(request: Request, part: str, reason: str, message: str) -> Response:
        fields = {"request_id": request.state.request_id, "reason": reason}
        logger.error("%s is down", part, extra={"fields": fields})
        return failure(request, 503, message + " Try again in a moment.", {"Retry-After": "5"})

    def not_paid(request: Request, error: Exception) -> Response:
        status = next((status for kind, status in UNPAID.items() if isinstance(error, kind)), 503)
        return failure(request, status, str(error))

    app.add_exception_handler(StarletteHTTPException, http)
    app.add_exception_handler(PaymentError, not_paid)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(KratosDownError, kratos_down)
    app.add_exception_handler(SQLAlchemyError, database_down)
