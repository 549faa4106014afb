from tests.provisioning.conftest import sandbox as sandbox
