"""Which names announce a secret: `db_password` and `apiKey` do, `mask_token`, `key_dim` don't."""

from __future__ import annotations

import re
from functools import lru_cache

from kerasprov_agent.redaction.redacted import words

NAME_LIMIT = 200
"""Of a longer name only so many of its last characters are looked at."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")

ALWAYS = words("""
    password passwords passwd passwds passphrase passphrases passcode secret secrets credential
    credentials creds bearer authorization jwt apikey apikeys authtoken accesstoken refreshtoken
    secretkey accesskey privatekey sshpass dbpass userpass mypass smtppass ftppass pgpass
    passwort kennwort sessionid sessid webhook cookie cookies otp totp mnemonic
""")
"""Words that announce a secret, unless a word of `TELLS_OF` follows."""
ENDINGS = (
    "password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey",
    "clientsecret", "authtoken", "accesstoken", "apitoken",
)  # fmt: skip
"""Words that were written together: `pgpassword`, `githubapitoken`."""
AT_THE_END = frozenset(("pwd", "pass", "auth", "token", "connstr"))
"""Words that announce a secret as the last of a name."""
KEYS = words("""
    api access private secret account encryption signing ssh license auth master service shared
    deploy subscription admin client ingest app application functions consumer session openai
    anthropic wandb hf huggingface comet neptune mlflow aws azure gcp gcs s3 github gitlab slack
    stripe datadog sendgrid twilio mailgun ngc kaggle cohere mistral groq replicate pinecone rsa
    pgp gpg tls ssl
""")
"""Before `key` (and some before `token`): whose key it is. A key of another kind is none."""
ISSUED = words("""
    access auth api refresh bearer id oauth security session personal hf huggingface github
    gitlab wandb aws slack bot deploy user csrf xsrf
""")
"""Before `tokens`: these are handed out by somebody, and are not pieces of a text."""
TOKENS_OF_TEXT = words("""
    mask masked oov pad padding bos eos sos start end unk unknown cls class sep separator begin
    beginning stop special first last next prev previous current cur num n number max min total
    count per each every any one text word sub subword image img patch visual vision audio
    speech video query key value dist distillation register global local target source src tgt
    decoder encoder input output new extra additional added control prompt language lang task
    position time empty blank newline space delimiter delim boundary frame latent memory learned
    learnable vocab byte char character raw gap by of is add use return drop insert top from to
    into cross unexpected invalid missing noise null question answer context bert summary
    readout sentinel segment column row cell entity object state action reward return goal time
    step percent fraction average avg mean median prefix suffix head tail left right same other
    random single multi split skip keep ignore ignored padded hidden whole
""")
"""Before `token`: a piece of a text or a picture."""
TELLS_OF = words("""
    type types length len size count counts num number id ids index indices idx embedding
    embeddings embed dim dims field fields column columns name names file files path paths dir
    directory folder format level mode method methods policy rule rules url uri endpoint host
    limit limits budget enabled required expiry expires expiration ttl age min max shape mask
    masks pattern regex cutter clicker jar monster santa sharing shares classifier detector
    detection model layer strength score prob probability rate ratio dataset data loss weight
    weights dropout manager provider store backend scheme schemes scope scopes mixing mixer
    merging merge pooling pool selection pruning reduction per drop dropping level levels set
    sets list order position positions pos stream shift shuffle learner attention config prefix
    suffix version kind class classes label labels group groups generator error errors
""")
"""After a word that announces a secret: the value tells something of it and is none itself."""
LOGINS = words("""
    db database user smtp ftp admin root mysql pg postgres redis my proxy http https login
    account email mail imap ssh vault keystore mongo ldap wifi sudo basic
""")
"""Before `pass`, or nothing: a password. Otherwise it is a pass over something."""
BEFORE_COOKIE = frozenset(("fortune", "chocolate", "accept", "use", "allow", "enable", "no"))


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether what goes by this name must not be stored."""
    words = words_of(name)
    return any(_announces(words, place) for place in range(len(words)))


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: `HFAccess-token2` → hf, access, token."""
    return [word.lower() for word in _WORD.findall(name[-NAME_LIMIT:])]


def _announces(name: list[str], place: int) -> bool:
    word, before = name[place], name[place - 1] if place else ""
    after = name[place + 1] if place + 1 < len(name) else ""
    if after in TELLS_OF and (before, word, after) != ("access", "key", "id"):
        return False
    if word in ("cookie", "cookies") and before in BEFORE_COOKIE:
        return False
    if word in ALWAYS or word.endswith(ENDINGS):
        return True
    if word in ("key", "keys"):
        return before in KEYS
    if word == "signature":
        return before == "access"
    if word == "tokens":
        return before in ISSUED
    if word == "token" and after:
        return before in ISSUED and after in ("secret", "value", "string")
    if word == "pass":
        return not after and (not before or before in LOGINS)
    if word == "auth" and after in ("header", "headers", "string", "value"):
        return True
    if word in AT_THE_END and not after:
        return word != "token" or before not in TOKENS_OF_TEXT
    return False
