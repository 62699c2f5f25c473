"""The link over a broker of MQTT 5, where edge and cloud are both clients: topics, header, client, and the two sides."""
