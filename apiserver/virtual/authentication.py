"""authentication.k8s.io: who a token, or one's own request, stands for."""

from __future__ import annotations

from apimachinery.errors import BadRequest
from apimachinery.times import format_time
from apiserver.auth.authentication.authenticator import Authenticator
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.message import Request
from apiserver.request.user import User
from apiserver.virtual._virtual import Virtual, review
from componentbase.clock import Clock
from kubeapi.authentication.selfsubjectreview import SelfSubjectReview, SelfSubjectReviewStatus
from kubeapi.authentication.tokenreview import TokenReview, TokenReviewStatus, UserInfo


def user_info(user: User) -> UserInfo:
    extra = {key: list(values) for key, values in user.extra}
    return UserInfo(username=user.name, uid=user.uid or None, groups=list(user.groups) or None, extra=extra or None)


async def review_token(request: Request, obj: TokenReview, *, authenticator: Authenticator) -> None:
    token = obj.spec.token
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        user, audiences = await authenticator.review(token, obj.spec.audiences or [])
    except InvalidToken as error:
        obj.status = TokenReviewStatus(error=str(error))
        return
    obj.status = TokenReviewStatus(authenticated=True, user=user_info(user), audiences=audiences or None)


def review_self(request: Request, obj: SelfSubjectReview, *, clock: Clock) -> None:
    obj.metadata.creationTimestamp = format_time(int(clock.now()))
    obj.status = SelfSubjectReviewStatus(userInfo=user_info(request.user))


VIRTUAL = Virtual(
    "authentication.k8s.io",
    {"tokenreviews": review(review_token), "selfsubjectreviews": review(review_self)},
)
