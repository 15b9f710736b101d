"""Lists of models: those that the configuration names, or those of the upstreams."""

from ccproxy import dialects
from ccproxy.core.errors import CCProxyError, RequestRefused
from ccproxy.core.events import StreamError
from ccproxy.core.spi import Dialect, Endpoint, Model
from ccproxy.wire.json import JSONError, dumps, loads

from .course import Gateway, collect
from .exchange import Exchange
from .failed import Failed, failed, refused, unreachable
from .routes import upstream_url
from .upstream import UpstreamError


async def answer(gateway: Gateway, exchange: Exchange, dialect: Dialect, endpoint: Endpoint, key: str) -> bytes:
    """The body for a client that asks for all models, or for one. Raises `RequestRefused` and `Failed`."""
    endpoints = dialect.endpoints
    assert endpoints is not None
    models = await _listed(gateway, exchange, dialect, key)
    if endpoint.kind == "models":
        return dumps(endpoints.write_models(models))
    wanted = endpoint.model.removeprefix("models/")
    model = next((model for model in models if model.id == wanted), None)
    if model is None:
        raise RequestRefused("model", f"there is no model {wanted!r}", "not_found")
    return dumps(endpoints.write_model(model))


async def _listed(gateway: Gateway, exchange: Exchange, dialect: Dialect, key: str) -> list[Model]:
    """The models that the configuration names; if it names none, those of the upstreams that tell theirs."""
    config = gateway.config
    named = [Model(id=rule.match) for rule in config.models if not set("*?") & set(rule.match)]
    if named:
        return named
    models: dict[str, Model] = {}
    failures: list[Failed] = []
    for name, upstream in config.upstreams.items():
        exchange.upstream, exchange.upstream_dialect = name, upstream.dialect
        try:
            listed = await _list_of(gateway, exchange, dialect, key)
        except Failed as failure:
            failures.append(failure)
            continue
        for model in listed:
            models.setdefault(model.id, model)
    if len(failures) == len(config.upstreams):
        raise failures[0]
    return list(models.values())


async def _list_of(gateway: Gateway, exchange: Exchange, dialect: Dialect, key: str) -> list[Model]:
    upstream = gateway.config.upstreams[exchange.upstream]
    source = dialects.get(upstream.dialect)
    endpoints = source.endpoints
    assert endpoints is not None
    url = upstream_url(upstream.url, endpoints, Endpoint("models"))
    sent = gateway.pairs[dialect.name, exchange.upstream].headers.of({}, key)
    try:
        response = await gateway.client.open("GET", url, sent, b"", upstream.timeouts)
        try:
            pieces: list[bytes] = []
            await collect(response, pieces, gateway.config.limits.max_response, upstream.timeouts.idle)
        finally:
            response.close()
        body = b"".join(pieces)
        if response.status >= 300:
            raise refused(exchange, response, body, source, dialect)
        return endpoints.read_models(loads(body))
    except UpstreamError as error:
        raise unreachable(exchange, error) from None
    except (*JSONError, CCProxyError, AttributeError):
        raise failed(exchange, StreamError("protocol", "the upstream's list of models is none")) from None
