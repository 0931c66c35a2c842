from keras_lapgan.hub.hub_uri import HubUri

__all__ = ["HubUri"]
