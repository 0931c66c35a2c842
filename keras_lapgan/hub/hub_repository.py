from keras_lapgan.hub.requests import hub_errors
from keras_lapgan.hub.requests import patiently
from keras_lapgan.utils.preset_error import PresetError


class HubRepository:
    """A model repository that is written to.

    Args:
        uri: `HubUri`. Its revision is the branch to commit to, made if
            missing.
        token: str or None. Defaults to None, the one logged in with.

    Raises:
        PresetError: nobody is logged in.
    """

    def __init__(self, uri, token=None):
        from huggingface_hub import HfApi
        from huggingface_hub.utils import get_token

        if not (token or get_token()):
            raise PresetError(
                f"Could not upload to {str(uri)!r}: nobody is logged in. Log "
                "in with `hf auth login`, or set HF_TOKEN to a token that may "
                "write."
            )
        self.uri = uri
        # A branch that is not there yet starts from the main one.
        self._base = uri.revision
        self.api = HfApi(token=token)

    def files(self):
        """Names of the files that a commit starts from.

        None if there is no repository.
        """
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.errors import RevisionNotFoundError

        with hub_errors(self.uri, "upload to"):
            try:
                info = self._info()
            except RevisionNotFoundError:
                self._base = None
                info = self._info()
            except RepositoryNotFoundError as error:
                if "expired" in (error.server_message or ""):
                    raise
                return None
        return [file.rfilename for file in info.siblings or ()]

    def _info(self):
        return patiently(
            lambda: self.api.model_info(self.uri.repo, revision=self._base)
        )

    def read(self, name):
        """Returns the bytes of a file of the branch."""
        from huggingface_hub import hf_hub_download

        with hub_errors(self.uri, "upload to"):
            path = patiently(
                lambda: hf_hub_download(
                    self.uri.repo,
                    name,
                    revision=self._base,
                    token=self.api.token,
                    force_download=True,
                )
            )
        with open(path, "rb") as file:
            return file.read()

    def make(self, private):
        """Makes the repository and the branch, where they are missing."""
        with hub_errors(self.uri, "upload to"):
            patiently(
                lambda: self.api.create_repo(
                    self.uri.repo, private=private, exist_ok=True
                )
            )
            if private and not self.api.model_info(self.uri.repo).private:
                raise PresetError(
                    f"{self.uri.repo} exists already, and everybody can see "
                    f"it. Make it private at {self.uri.address}/settings, or "
                    "choose another name."
                )
            if self.uri.revision not in (None, "main"):
                patiently(
                    lambda: self.api.create_branch(
                        self.uri.repo, branch=self.uri.revision, exist_ok=True
                    )
                )

    def commit(self, folder, message, create_pr):
        """Uploads a folder's files in one commit; repeating it goes on."""
        with hub_errors(self.uri, "upload to"):
            return patiently(
                lambda: self.api.upload_folder(
                    repo_id=self.uri.repo,
                    folder_path=folder,
                    revision=self.uri.revision,
                    commit_message=message,
                    create_pr=create_pr,
                )
            )
