"""The sign-up page's own tables, where Django looks for them. Each is defined beside the code that uses it."""

from signup.api.models import ApiKey as ApiKey
from signup.api.models import ApiSignup as ApiSignup
from signup.brand.models import Brand as Brand
from signup.burst import Burst as Burst
from signup.doctor.models import Diagnosis as Diagnosis
from signup.emails.models import Mail as Mail
from signup.emails.models import SentMail as SentMail
from signup.legal.models import Agreement as Agreement
from signup.legal.models import LegalText as LegalText
from signup.single_sign_on.models import StaffIdentity as StaffIdentity
from signup.single_sign_on.models import UsedLink as UsedLink
from signup.visits import Visit as Visit
